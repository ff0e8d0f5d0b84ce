"""A process of thousands of viewers. ``python -m benchmarks.egress.viewers URL OUT TOKENS``.

TOKENS holds a session id and a token a line, one for each viewer. Prints READY once every viewer is welcomed, and at
SIGTERM writes OUT: for each frame the viewer's number, when it came (µs since the epoch), and its number and instants
as they stand in it; and of each viewer the first frame. Viewers acknowledge a frame once a second, as the page does.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.sockets import BINARY, TEXT, RawSocket, SocketError, Sockets, masked

REST_S: Final = 0.001
"""Between two looks at the sockets: fewer, larger rounds cost less, and half a millisecond of the latency is ours."""
HEAD: Final = slice(4, 24)
HEAD_TYPE: Final = np.dtype([("sequence", "<u4"), ("captured_us", "<i8"), ("fused_ms", "<f4"), ("relayed_ms", "<f4")])
"""Of a packed frame (docs/protocol.md)."""
ACKS_A_SECOND: Final = 50
"""Rounds in which the viewers take turns."""


class Viewers:
    """All of them."""

    def __init__(self) -> None:
        self.sockets = Sockets(self.take)
        self.welcomed = 0
        self.heads = bytearray()
        self.numbers: list[int] = []
        self.received_us: list[int] = []
        self.first: dict[int, bytes] = {}
        self.newest: dict[int, bytes] = {}
        self.skipped = 0

    def take(self, raw: RawSocket, opcode: int, payload: memoryview) -> None:
        """Note a frame, or what else is said."""
        if opcode == BINARY:
            self.received_us.append(time.time_ns() // 1_000)
            self.numbers.append(raw.number)
            head = bytes(payload[HEAD])
            self.heads += head
            if raw.number not in self.first:
                self.first[raw.number] = bytes(payload)
            self.newest[raw.number] = head
        elif opcode == TEXT:
            message = json.loads(bytes(payload))
            if message["type"] == "welcome":
                self.welcomed += 1
            elif message["type"] == "skipped":
                self.skipped += int(message["count"])

    def acknowledge(self, some: list[RawSocket]) -> None:
        """Say that these viewers' newest frames are on their screens."""
        now_us = time.time_ns() // 1_000
        for raw in some:
            head = self.newest.get(raw.number)
            if head is not None:
                sequence = int.from_bytes(head[:4], "little")
                ack = f'{{"type":"ack","sequence":{sequence},"rendered_at_us":{now_us}}}'
                raw.send(masked(TEXT, ack.encode()))

    def rows(self) -> npt.NDArray[np.void]:
        """What came."""
        head = np.frombuffer(bytes(self.heads), HEAD_TYPE)
        kind = np.dtype([("viewer", "<i4"), ("received_us", "<i8"), *HEAD_TYPE.descr])
        rows = np.empty(len(head), kind)
        rows["viewer"], rows["received_us"] = self.numbers, self.received_us
        for name in HEAD_TYPE.names or ():
            rows[name] = head[name]
        return rows


def main(url: str, out: Path, tokens: Path) -> None:
    """Watch until SIGTERM; raises SocketError if the server ends a connection."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    viewers = Viewers()
    wanted = [line.split() for line in tokens.read_text(encoding="utf-8").splitlines()]
    all_of_them = viewers.sockets.open(
        [(f"{url}/v1/sessions/{name}/avatar", token, "affectstream.binary") for name, token in wanted]
    )
    told = False
    turn, next_turn_s = 0, time.monotonic()
    while not stop:
        viewers.sockets.receive(0.1)
        if viewers.sockets.ended:
            raise SocketError(f"a viewer was turned away: {viewers.sockets.ended[0].reason}")
        if not told and viewers.welcomed == len(wanted):
            told = True
            sys.stdout.write("READY\n")
            sys.stdout.flush()
        if time.monotonic() >= next_turn_s:
            next_turn_s += 1 / ACKS_A_SECOND
            turn = (turn + 1) % ACKS_A_SECOND
            viewers.acknowledge(all_of_them[turn::ACKS_A_SECOND])
        time.sleep(REST_S)
    first = [viewers.first.get(number, b"").hex() for number in range(len(wanted))]
    out.with_suffix(".json").write_text(json.dumps({"first": first, "skipped": viewers.skipped}), encoding="utf-8")
    np.save(out, viewers.rows())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
