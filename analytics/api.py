"""The HTTP API over the rows. It only reads, but for erasing sessions, which it asks for.

Who may: an operator (a token of :meth:`runtime.tokens.Tokens.operator`) everything; the holder of a session's token
with the scope ``watch`` or ``manage`` that session; an observer the sessions of now; an analyst every session, and all
that the analyst page asks (:mod:`analytics.analyst_api`), but no SQL. ``/healthz`` is open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from clickhouse_connect.driver.exceptions import ClickHouseError
from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.cors import CORSMiddleware

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
from runtime.clock import Clock
from runtime.errors import BrokerError, KeyStoreError, SettingsError, TokenError
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import OPERATOR, Grant, Scope, Tokens, bearer
from schemas.codec import Codec
from schemas.experiments import Correction
from schemas.vocabulary import Modality

if TYPE_CHECKING:
    from analytics.experiments.rows import ExperimentQueries

CORS_MAX_AGE_S: Final = 600
READ_SCOPES: Final[tuple[Scope, ...]] = ("watch", "manage")
OBSERVE_SCOPES: Final[tuple[Scope, ...]] = ("observe", "manage")
ANALYSE_SCOPES: Final[tuple[Scope, ...]] = ("analyse", "manage")
WALL_SESSIONS: Final = 500
WALL_ENDED_WITHIN_S: Final = 600
MEDIA_TYPES: Final[Mapping[ExportFormat, str]] = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}


STATUS: Final[Mapping[type[Exception], tuple[int, str]]] = {
    TokenError: (401, "unauthorized"),
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


SessionId = Annotated[str, Path(max_length=128)]


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
    for kind in STATUS:
        app.add_exception_handler(kind, _problem(context.metrics))
    queries = context.queries
    experiments = _experiments(context)
    grant_of = _grant_of(context)

    def operator(grant: Annotated[Grant, Depends(grant_of)]) -> None:
        if grant.session_id != OPERATOR or "manage" not in grant.scopes:
            raise TokenError("not_operator", "this needs an operator's token, not a session's or an observer's")

    def observer(grant: Annotated[Grant, Depends(grant_of)]) -> None:
        if grant.session_id != OPERATOR or not grant.scopes.intersection(OBSERVE_SCOPES):
            raise TokenError("not_observer", "this needs an observer's token: affectstream wall")

    def analyst(grant: Annotated[Grant, Depends(grant_of)]) -> None:
        if grant.session_id != OPERATOR or not grant.scopes.intersection(ANALYSE_SCOPES):
            raise TokenError("not_analyst", "this needs an analyst's token: affectstream analyst")

    def reader(session_id: SessionId, grant: Annotated[Grant, Depends(grant_of)]) -> str:
        if grant.session_id == OPERATOR:
            analyst(grant)
        else:
            grant.require(session_id)
            if not grant.scopes.intersection(READ_SCOPES):
                raise TokenError("missing_scope", "the token lacks the scope 'watch'")
        return session_id

    operator_only = [Depends(operator)]
    analysts_only = [Depends(analyst)]
    owned = Annotated[str, Depends(reader)]
    add_analyst_page(app, queries.database, context.codec, context.fuse, analyst=analyst, reader=reader)

    @app.get("/healthz")
    def healthz() -> Json:
        """200 while ClickHouse answers, 503 otherwise."""
        queries.alive()
        return {"status": "ok"}

    @app.get("/v1/sessions", dependencies=operator_only)
    def sessions(limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> list[Json]:
        """The newest sessions first."""
        return queries.sessions(limit=limit)

    @app.get("/v1/wall", dependencies=[Depends(observer)])
    def wall(
        limit: Annotated[int, Query(ge=1, le=2_000)] = WALL_SESSIONS,
        ended_within_s: Annotated[int, Query(ge=0, le=86_400)] = WALL_ENDED_WITHIN_S,
    ) -> list[Json]:
        """The sessions of now: those that have not ended, and those that ended lately; the newest first."""
        now_ms = context.clock.now_us() // 1_000
        return queries.wall(now_ms=now_ms, ended_within_s=ended_within_s, limit=limit)

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

    @app.get("/v1/counts", dependencies=operator_only)
    def counts() -> Json:
        """Rows against records, by topic and partition."""
        return queries.counts()

    @app.get("/v1/experiments", dependencies=analysts_only)
    def experiment_list() -> Json:
        """Experiments that are defined or that rows know, the newest first."""
        return experiments().experiments()

    @app.get("/v1/experiments/{name}", dependencies=analysts_only)
    def experiment(
        name: Annotated[str, Path(max_length=128)],
        confidence: Annotated[float, Query(ge=0.5, le=0.999)] = 0.95,
        correction: Correction = "holm",
    ) -> Json:
        """What came of one experiment: docs/experiments.md has the form."""
        return experiments().experiment(name, confidence=confidence, correction=correction)

    if context.eraser is not None:
        add_erasure(app, context.settings, queries.database, context.eraser, operator, grant_of)
    if context.recorder is not None:
        add_recording(app, context.settings, context.recorder, grant_of)

    @app.post("/v1/sql", dependencies=operator_only)
    def sql(statement: Statement) -> Json:
        """The answer to one SELECT."""
        return queries.sql(statement.sql)

    @app.post("/v1/export", dependencies=operator_only)
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


def _grant_of(context: Context) -> Callable[[Request], Grant]:
    tokens = Tokens(context.settings.token_key)

    def grant_of(request: Request) -> Grant:
        # Only the header: a query's token would end up in logs and histories, and nothing here needs one.
        token = bearer(request.headers.get("authorization"), (), None)
        return tokens.verify(token, now_s=context.clock.now_us() / 1_000_000)

    return grant_of


def _problem(metrics: Metrics) -> Callable[[Request, Exception], JSONResponse]:
    def answer(request: Request, error: Exception) -> JSONResponse:
        status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        headers = {}
        if isinstance(error, TokenError):
            code = error.reason
            status = (
                403
                if code in {"wrong_session", "missing_scope", "not_operator", "not_observer", "not_analyst"}
                else 401
            )
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
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
