"""Refuses request bodies that are too large or too slow before anything reads them whole."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.problems import Problem

BODY_S: Final = 10.0
"""A body that is not there after so long holds its connection no longer."""


class BodyLimit:
    """ASGI middleware: 413 for a declared or actual body of more than ``most`` bytes, 408 for one that takes too long.

    ``most_of`` are other limits by the beginning of the content type, in lower case.
    """

    def __init__(
        self, app: ASGIApp, most: int, most_of: Mapping[bytes, int] | None = None, body_s: float = BODY_S
    ) -> None:
        self._app = app
        self._most = most
        self._most_of = most_of or {}
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"").lower()
        most = next((limit for start, limit in self._most_of.items() if kind.startswith(start)), self._most)
        problem = Problem(413, "too_large", "The request is too large", f"at most {most} bytes are taken: send less")
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > most:
            await problem.response(scope["path"])(scope, receive, send)
            return
        parts: list[bytes] = []
        taken, more = 0, True
        try:
            async with asyncio.timeout(self._body_s):
                while more:
                    message = await receive()
                    parts.append(message.get("body", b""))
                    taken += len(parts[-1])
                    more = message.get("more_body", False)
                    if taken > most:
                        await problem.response(scope["path"])(scope, receive, send)
                        return
        except TimeoutError:
            slow = Problem(408, "too_slow", "The request took too long", f"send its body within {self._body_s:g} s")
            await slow.response(scope["path"])(scope, receive, send)
            return
        whole: Message | None = {"type": "http.request", "body": b"".join(parts), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            if whole is not None:
                message, whole = whole, None
                return message
            return await receive()

        await self._app(scope, replay, send)
