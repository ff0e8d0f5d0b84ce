"""Bodies that are too large or too slow."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from runtime.body_limit import BodyLimit


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


APP = BodyLimit(
    Starlette(routes=[Route("/", echo, methods=["POST"])]), most=100, most_of={b"application/sdp": 200}, body_s=0.05
)


async def post(body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://t") as http:
        return await http.post("/", content=body, headers=headers)


async def pieces(*sizes: int):
    for size in sizes:
        yield b"x" * size


@pytest.mark.parametrize(
    "body, headers, status",
    [
        (b"x" * 100, {}, 200),
        (b"x" * 101, {}, 413),
        (b"x" * 200, {"content-type": "Application/SDP; v=1"}, 200),
        (b"x" * 201, {"content-type": "application/sdp"}, 413),
        (b"", {"content-length": "-1"}, 413),
        (b"", {"content-length": "1e9"}, 413),
    ],
)
async def test_a_limit_by_type(body, headers, status):
    assert (await post(body, **headers)).status_code == status


async def test_a_body_without_a_length_is_counted_as_it_comes():
    assert (await post(pieces(60, 40))).text == "100"
    refused = await post(pieces(60, 41))
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


async def test_a_body_that_does_not_come_is_not_waited_for():
    async def never():
        yield b"x"
        await asyncio.Event().wait()

    parts, answers = aiter(never()), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(parts), "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    await APP({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    assert answers[0]["status"] == 408
    assert b'"code":"too_slow"' in answers[1]["body"]
