"""Refuses request bodies over a limit before anything reads them whole."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.problems import Problem

MAX_BODY_BYTES: Final = 16_384
MAX_SDP_BYTES: Final = 65_536
"""Browsers offer every codec that they know: some 10 kB."""


class BodyLimit:
    """ASGI middleware: 413 for a declared or actual body of more than ``MAX_BODY_BYTES``, of SDP ``MAX_SDP_BYTES``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        most = MAX_SDP_BYTES if kind.lower().startswith(b"application/sdp") else MAX_BODY_BYTES
        problem = Problem(413, "too_large", "The request is too large", f"at most {most} bytes are taken: send less")
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > most:
            await problem.response(scope["path"])(scope, receive, send)
            return
        parts: list[bytes] = []
        taken, more = 0, True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            taken += len(parts[-1])
            more = message.get("more_body", False)
            if taken > most:
                await problem.response(scope["path"])(scope, receive, send)
                return
        whole: Message | None = {"type": "http.request", "body": b"".join(parts), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            if whole is not None:
                message, whole = whole, None
                return message
            return await receive()

        await self._app(scope, replay, send)
