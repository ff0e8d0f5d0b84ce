"""A process of many viewers: notes when each frame came. ``python -m benchmarks.latency.viewers URL OUT TOKENS``.

TOKENS holds a session id and a token a line. Prints READY once every viewer is welcomed, and at SIGTERM writes
(session, sequence, timestamp_ms, received_us) as int64 rows to OUT. Frames come packed, as the page has them; only
their beginning is looked at, so that the measured time is not spent here.
"""

import asyncio
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import uvloop
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

SUBPROTOCOL: Final = Subprotocol("affectstream.binary")
HEAD: Final = struct.Struct("<B3xIq")
"""Version, sequence and instant of a packed frame (docs/protocol.md)."""

TEXT: Final = ord("{")
AT_ONCE: Final = 50


class Viewers:
    """All of them, in one event loop."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self._url = url
        self._tokens = tokens
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.welcomed = 0
        self.rows: list[tuple[int, int, int, int]] = []

    async def watch(self, number: int, session_id: str) -> None:
        """Watch one session until cancelled."""
        async with self._gate:
            socket = await connect(
                f"{self._url}/v1/sessions/{session_id}/avatar",
                additional_headers={"Authorization": f"Bearer {self._tokens[session_id]}"},
                compression=None,
                subprotocols=[SUBPROTOCOL],
                proxy=None,
            )
            await socket.recv(decode=False)
        self.welcomed += 1
        if self.welcomed == len(self._tokens):
            sys.stdout.write("READY\n")
            sys.stdout.flush()
        while True:
            data = await socket.recv(decode=False)
            received_us = time.time_ns() // 1_000
            if data[0] != TEXT:
                _, sequence, captured_us = HEAD.unpack_from(data)
                self.rows.append((number, sequence, captured_us // 1_000, received_us))


async def main(url: str, out: Path, tokens: dict[str, str]) -> None:
    """Watch until SIGTERM."""
    viewers = Viewers(url, tokens)
    watching = asyncio.gather(*(viewers.watch(n, session_id) for n, session_id in enumerate(tokens)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, watching.cancel)
    try:
        await watching
    except asyncio.CancelledError:
        np.save(out, np.array(viewers.rows, np.int64).reshape(-1, 4))


if __name__ == "__main__":
    uvloop.run(
        main(sys.argv[1], Path(sys.argv[2]), dict(line.split() for line in Path(sys.argv[3]).read_text().splitlines()))
    )
