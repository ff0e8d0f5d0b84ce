"""Following a session's frames."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import cbor2
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from client.errors import ConnectionRefused
from client.places import Places, keeping_alive
from client.trust import of
from schemas.close_codes import FINAL, CloseCode

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 1.0
AFTER_END_S: Final = 2.0


async def watch(
    url: str | Places,
    token: str,
    *,
    wire: Literal["json", "cbor"] = "json",
    ended: asyncio.Event | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """The messages of the session at ``url`` (its ``avatar_url``, or that at several servers) as they come.

    First a ``welcome`` for each connection; then ``avatar_frame`` and ``emotion_update``, each sequence once and in
    rising order across reconnects; ``skipped`` where this client was too slow, ``stalled`` where the session is
    silent. Ends when the session has ended, also when ``ended`` is set and nothing has come for 2 s; otherwise when
    the consumer stops. ``tls`` as in :meth:`client.session.Session.create`.
    Raises ConnectionRefused if the service closes the connection for good.
    """
    newest = {"avatar_frame": -1, "emotion_update": -1}
    places = Places(url) if isinstance(url, str) else url
    delay_s = FIRST_RETRY_S
    while True:
        try:
            async with connect(
                places.url,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol(f"affectstream.{wire}")],
                compression=None,
                proxy=None,
                ssl=of(places.url, tls),
                open_timeout=5,
                close_timeout=1,
                **keeping_alive(places),
            ) as socket:
                delay_s = FIRST_RETRY_S
                while True:
                    try:
                        async with asyncio.timeout(AFTER_END_S):
                            data = await socket.recv()
                    except TimeoutError:
                        if ended is not None and ended.is_set():
                            return
                        continue
                    message: dict[str, Any] = orjson.loads(data) if isinstance(data, str) else cbor2.loads(data)
                    kind = message["type"]
                    if kind in newest:
                        if message["sequence"] <= newest[kind]:
                            continue
                        newest[kind] = message["sequence"]
                    yield message
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")
            if code == CloseCode.SESSION_ENDED:
                return
            if code in FINAL:
                raise ConnectionRefused(code, reason) from closed
            log.info("avatar connection lost (%d %s), connecting again", code, reason)
        except (OSError, TimeoutError, InvalidHandshake) as error:
            log.info("avatar connection cannot be made, trying again: %s", error)
        if ended is not None and ended.is_set():
            return
        places.failed()
        await asyncio.sleep(delay_s)
        delay_s = min(LAST_RETRY_S, delay_s * 2)
