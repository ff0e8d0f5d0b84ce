"""The HTTP API over the rows. It only reads, but for erasing sessions, which it asks for.

Who may: an operator (a token of :meth:`runtime.tokens.Tokens.operator`) everything; the holder of a session's token
with the scope ``watch`` or ``manage`` that session; an observer the sessions of now; an analyst every session, and all
that the analyst page asks (:mod:`analytics.analyst_api`), but no SQL. Operators, observers and analysts of a tenant see
that tenant's sessions, and what is not sorted by session only those of the deployment (:mod:`analytics.access`).
``/healthz`` is open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from clickhouse_connect.driver.exceptions import ClickHouseError
from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.cors import CORSMiddleware

from analytics.access import Access, TooFast
from analytics.analyst_api import add_analyst_page
from analytics.answers import Json
from analytics.balance import Ranges
from analytics.erasure.eraser import Eraser, Hindered
from analytics.errors import DatabaseUnavailable, ExperimentUnknown, NotFusible, QueryRefused, SessionUnknown
from analytics.media import media_sequences
from analytics.owner_api import Recorder, TooManyRecordings, add_erasure, add_recording
from analytics.queries import TIMELINE_POINTS, ExportFormat, Queries
from analytics.recordings.container import RecordingError
from analytics.refusion import Fuse
from analytics.statement import MAX_CHARACTERS
from runtime.body_limit import BodyLimit
from runtime.clock import Clock
from runtime.errors import BrokerError, KeyStoreError, SettingsError, TokenError
from runtime.metrics import Metrics
from runtime.problems import Problem, faults_of
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.experiments import Correction
from schemas.vocabulary import Modality

if TYPE_CHECKING:
    from analytics.experiments.rows import ExperimentQueries

CORS_MAX_AGE_S: Final = 600
WALL_SESSIONS: Final = 500
MAX_BODY_BYTES: Final = 262_144
"""A SELECT of the most characters, four bytes each."""
WALL_ENDED_WITHIN_S: Final = 600
MEDIA_TYPES: Final[Mapping[ExportFormat, str]] = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}


STATUS: Final[Mapping[type[Exception], tuple[int, str]]] = {
    TokenError: (401, "unauthorized"),
    TooFast: (429, "too_fast"),
    SessionUnknown: (404, "unknown_session"),
    ExperimentUnknown: (404, "unknown_experiment"),
    SettingsError: (503, "experiments_unreadable"),
    QueryRefused: (400, "query_refused"),
    NotFusible: (409, "not_fusible"),
    DatabaseUnavailable: (503, "clickhouse_unavailable"),
    ClickHouseError: (503, "clickhouse_failed"),
    BrokerError: (503, "kafka_unavailable"),
    KeyStoreError: (503, "no_key_store"),
    Hindered: (503, "cannot_be_erased_now"),
    TooManyRecordings: (503, "too_many_recordings"),
    RecordingError: (409, "cannot_be_recorded"),
}


class Statement(BaseModel):
    """Body of POST /v1/sql."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="One SELECT.")


class Export(Statement):
    """Body of POST /v1/export."""

    format: ExportFormat = "parquet"


@dataclass(frozen=True, slots=True)
class Context:
    """What the API needs of its process."""

    settings: Settings
    queries: Queries
    codec: Codec
    clock: Clock
    metrics: Metrics
    eraser: Eraser | None = None
    recorder: Recorder | None = None
    fuse: Fuse | None = None
    """Fusion, where the process was given it: sessions can be fused again under another configuration."""


def create_app(context: Context) -> FastAPI:
    """The application; it holds no state of its own."""
    app = FastAPI(title="affectstream analytics", openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=page_origins(context.settings),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        max_age=CORS_MAX_AGE_S,
    )
    app.add_middleware(BodyLimit, most=MAX_BODY_BYTES)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in STATUS:
        app.add_exception_handler(kind, _problem(context.metrics))
    queries = context.queries
    experiments = _experiments(context)
    access = Access(context.settings, context.clock)
    platform_only = [Depends(access.platform)]
    owned = Annotated[str, Depends(access.reader)]
    tag_of_operator = Annotated[str, Depends(access.operator)]
    tag_of_observer = Annotated[str, Depends(access.observer)]
    tag_of_analyst = Annotated[str, Depends(access.analyst)]
    add_analyst_page(app, queries.database, context.codec, context.fuse, access)

    @app.get("/healthz")
    def healthz() -> Json:
        """200 while ClickHouse answers, 503 otherwise."""
        queries.alive()
        return {"status": "ok"}

    @app.get("/v1/sessions")
    def sessions(tag: tag_of_operator, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> list[Json]:
        """The newest sessions first."""
        return queries.sessions(limit=limit, tag=tag)

    @app.get("/v1/wall")
    def wall(
        tag: tag_of_observer,
        limit: Annotated[int, Query(ge=1, le=2_000)] = WALL_SESSIONS,
        ended_within_s: Annotated[int, Query(ge=0, le=86_400)] = WALL_ENDED_WITHIN_S,
    ) -> list[Json]:
        """The sessions of now: those that have not ended, and those that ended lately; the newest first."""
        now_ms = context.clock.now_us() // 1_000
        return queries.wall(now_ms=now_ms, ended_within_s=ended_within_s, limit=limit, tag=tag)

    @app.get("/v1/sessions/{session_id}/summary")
    def summary(session_id: owned) -> Json:
        """Figures of one session."""
        return queries.summary(session_id)

    @app.get("/v1/sessions/{session_id}/timeline")
    def timeline(session_id: owned, points: Annotated[int, Query(ge=1, le=20_000)] = TIMELINE_POINTS) -> Json:
        """One session along time."""
        return queries.timeline(session_id, points=points)

    @app.get("/v1/sessions/{session_id}/balance")
    def balance(session_id: owned, *, media: bool = False) -> Json:
        """Whether the ledger accounts for everything; ``media``: compare the media topics too, which reads them."""
        sequences: Mapping[Modality, Ranges] = {}
        if media:
            started_ms = queries.session(session_id)["started_at_ms"]
            sequences = media_sequences(context.settings, context.codec, session_id, started_ms * 1_000)
        return queries.balance(session_id, sequences)

    @app.get("/v1/ledger/{session_id}")
    def ledger(session_id: owned) -> Json:
        """What became of every item of one session, by stage."""
        return queries.ledger(session_id)

    @app.get("/v1/counts", dependencies=platform_only)
    def counts() -> Json:
        """Rows against records, by topic and partition."""
        return queries.counts()

    @app.get("/v1/experiments")
    def experiment_list(tag: tag_of_analyst) -> Json:
        """Experiments that are defined or that rows know, the newest first."""
        return experiments().experiments(tag=tag)

    @app.get("/v1/experiments/{name}")
    def experiment(
        tag: tag_of_analyst,
        name: Annotated[str, Path(max_length=128)],
        confidence: Annotated[float, Query(ge=0.5, le=0.999)] = 0.95,
        correction: Correction = "holm",
    ) -> Json:
        """What came of one experiment: docs/experiments.md has the form."""
        return experiments().experiment(name, confidence=confidence, correction=correction, tag=tag)

    if context.eraser is not None:
        add_erasure(app, context.settings, queries.database, context.eraser, access)
    if context.recorder is not None:
        add_recording(app, context.settings, context.recorder, access)

    @app.post("/v1/sql", dependencies=platform_only)
    def sql(statement: Statement) -> Json:
        """The answer to one SELECT."""
        return queries.sql(statement.sql)

    @app.post("/v1/export", dependencies=platform_only)
    def export(wanted: Export) -> Response:
        """The answer to one SELECT as a file."""
        return Response(queries.export(wanted.sql, wanted.format), media_type=MEDIA_TYPES[wanted.format])

    return app


def page_origins(settings: Settings) -> list[str]:
    """Origins whose pages may read answers: those of the settings, or our own page's under both loopback names."""
    listed = [origin.strip().rstrip("/") for origin in settings.allowed_origins.split(",") if origin.strip()]
    if listed:
        return listed
    if not settings.public_ingest_url:
        return []
    parts = urlsplit(settings.public_ingest_url)
    port = f":{parts.port}" if parts.port else ""
    hosts = ["localhost", "127.0.0.1"] if parts.hostname in {"localhost", "127.0.0.1"} else [parts.hostname]
    return [f"{parts.scheme}://{host}{port}" for host in hosts]


def _experiments(context: Context) -> "Callable[[], ExperimentQueries]":
    """What makes the experiments' queries, once they are asked for: the statistics take seconds to load."""

    @cache
    def make() -> "ExperimentQueries":
        from analytics.experiments.rows import ExperimentQueries  # noqa: PLC0415

        return ExperimentQueries(context.queries.database, context.settings.experiments_dir, context.clock)

    return make


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problem = Problem(422, "invalid_request", "The request cannot be used", faults_of(error.errors()))
    return problem.response(request.url.path)


def _problem(metrics: Metrics) -> Callable[[Request, Exception], JSONResponse]:
    def answer(request: Request, error: Exception) -> JSONResponse:
        status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        headers = {}
        if isinstance(error, TokenError):
            code = error.reason
            status = 403 if error.forbidden else 401
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        elif status == 429:
            headers = {"Retry-After": "1"}
        metrics.count("rejected_total", reason=code)
        body = {
            "type": "about:blank",
            "status": status,
            "code": code,
            "detail": str(error),
            "instance": request.url.path,
        }
        return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=headers)

    return answer
