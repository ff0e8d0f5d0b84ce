"""A speech engine served by HTTP (:mod:`inference_workers.speech_contract`): for a machine with a GPU, say.

Sound comes in the clear, so that the server can hear it: put it behind TLS, or on a network of your own. It keeps
nothing and logs nothing of it.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, runtime_checkable

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from inference_workers.engines.protocols import Samples, SpeechEmotion, SpeechEngine
from inference_workers.speech.rich_tokens import Reading
from inference_workers.speech_contract import PATH, REQUEST_BYTES, Answer, Interval, Question, WindowAnswer
from schemas.vocabulary import EMOTIONS

WAITING: Final = 16
"""Requests that may wait for the engine; more are turned away, so that they can ask elsewhere in time."""


@runtime_checkable
class Reader(Protocol):
    """An engine that can tell more than emotion."""

    def read(self, windows: Sequence[Samples]) -> Sequence[Reading]:
        """One reading a window."""
        ...


def application(engine: SpeechEngine, token: str = "") -> FastAPI:
    """The server's application; with a ``token``, only those who show it are answered."""
    app = FastAPI(title="affectstream speech engine", docs_url=None, redoc_url=None, openapi_url=None)
    turn = anyio.Semaphore(1)  # an engine is called from one thread at a time
    waiting = 0

    @app.middleware("http")
    async def authorise(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        shown = request.headers.get("authorization", "").encode()
        if token and not hmac.compare_digest(shown, f"Bearer {token}".encode()):
            return _problem(401, "a bearer token is needed")
        return await proceed(request)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"engine": engine.source}

    @app.post(PATH)
    async def read(request: Request) -> Response:
        nonlocal waiting
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > REQUEST_BYTES:
                return _problem(413, f"a request has at most {REQUEST_BYTES} bytes")
        try:
            question = Question.model_validate_json(bytes(body))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            return _problem(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        if waiting >= WAITING:
            return _problem(503, f"{WAITING} requests wait already")
        waiting += 1
        try:
            async with turn:
                answers = await anyio.to_thread.run_sync(_answers, engine, question.samples())
        finally:
            waiting -= 1
        return Response(
            Answer(engine=engine.source, windows=answers).model_dump_json(exclude_none=True),
            media_type="application/json",
        )

    return app


def serve(engine: SpeechEngine, host: str, port: int, token: str = "") -> None:
    """Serve until SIGTERM or SIGINT. Blocks."""
    uvicorn.run(application(engine, token), host=host, port=port, log_level="warning", access_log=False)


def _answers(engine: SpeechEngine, windows: Sequence[Samples]) -> list[WindowAnswer]:
    found: list[WindowAnswer] = []
    for start in range(0, len(windows), engine.max_batch):
        batch = windows[start : start + engine.max_batch]
        if isinstance(engine, Reader):
            found += [_of_reading(reading) for reading in engine.read(batch)]
        else:
            found += [_of_emotion(emotion) for emotion in engine.infer(batch)]
    return found


def _of_emotion(emotion: SpeechEmotion) -> WindowAnswer:
    scores = dict(zip(EMOTIONS, emotion.scores, strict=True))
    return WindowAnswer(scores=scores, unknown=emotion.unknown, confidence=emotion.confidence)


def _of_reading(reading: Reading) -> WindowAnswer:
    return WindowAnswer(
        scores=dict(zip(EMOTIONS, reading.scores, strict=True)),
        unknown=reading.unknown,
        confidence=max(reading.scores) * reading.speech,
        language=reading.language,
        event=reading.event,
        tokens=[Interval(start_ms=each.start_ms, end_ms=each.end_ms) for each in reading.tokens],
    )


def _problem(status: int, detail: str) -> JSONResponse:
    body = json.loads(json.dumps({"status": status, "detail": detail}))
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
