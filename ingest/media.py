"""One media WebSocket: messages between its frames and the session's connection. See docs/protocol.md."""

import contextlib
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from ingest.connection import Connection
from ingest.edge import Edge
from ingest.sessions import Session
from ingest.websocket import receive_directly
from schemas.close_codes import CloseCode
from schemas.vocabulary import Outcome

MESSAGE_TOO_BIG: Final = 1009
"""The server's own limit on a message, far above ours (RFC 6455, section 7.4.1)."""


async def serve_socket(edge: Edge, session: Session, socket: WebSocket) -> None:
    """Serve one accepted WebSocket of a session until either side closes it."""
    connection = Connection(edge, session, socket.send_text)

    async def read() -> None:
        receive_directly(socket, connection.offer_binary)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") == MESSAGE_TOO_BIG:
                    edge.note(session.session_id, "", Outcome.TOO_LARGE)
                    edge.rejected("too_large")
                return
            data = message.get("bytes")
            if data is not None:
                await connection.on_binary(data)
            else:
                await connection.on_text(message.get("text") or "")

    with contextlib.suppress(WebSocketDisconnect):
        try:
            closing = await connection.serve(read(), connection.converse())
        finally:
            receive_directly(socket, None)
        if closing is not None:
            await close(socket, closing.code, closing.reason)


async def close(socket: WebSocket, code: CloseCode, reason: str) -> None:
    """Close with a reason cut to what a close frame holds (123 bytes); a connection that is gone already is fine."""
    short = reason.encode()[:123].decode(errors="ignore")
    try:
        await socket.send({"type": "websocket.close", "code": int(code), "reason": short})
    except (WebSocketDisconnect, RuntimeError):
        return
