"""The edge's HTTP and WebSocket interface (FastAPI); errors become problem+json or close codes here."""

import logging
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, HTMLResponse, JSONResponse

from ingest.bodies import ClientConfig, ResetAnswer, SessionAnswer, SessionBody
from ingest.calibration import CalibrationError, calibration_of
from ingest.consent import Consent
from ingest.edge import BrokerAway, Edge, TooSoon
from ingest.media import close, serve_socket
from ingest.sessions import SessionOver
from ingest.webrtc import ice
from ingest.webrtc.peers import Peers
from ingest.webrtc.signalling import add_whip
from runtime.body_limit import BodyLimit
from runtime.errors import KeyStoreError, TokenError
from runtime.fusion_defaults import parse_parameters
from runtime.origins import origin_allowed
from runtime.problems import Problem, faults_of
from runtime.rates import KeyedBuckets
from runtime.tenancy import DEFAULT_TENANT, EVERY_TENANT, new_session_id
from runtime.tokens import OPERATOR, Grant, bearer
from schemas.close_codes import CloseCode
from schemas.experiments import Candidate
from schemas.fusion_config import ConfigError, FusionConfig
from schemas.records import ExperimentAssignment

log = logging.getLogger(__name__)

PAGE: Final = Path(__file__).resolve().parent.parent / "web" / "dist"
PAGE_MODELS: Final = frozenset({"face_landmarker.task"})
"""Model files that pages may have: what on-device analysis needs."""

MAX_SESSIONS: Final = 10_000
MAX_BODY_BYTES: Final = 16_384
MAX_SDP_BYTES: Final = 65_536
"""Browsers offer every codec that they know: some 10 kB."""

NO_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>affectstream</title>
<body style="font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem">
<h1>The page has not been built</h1>
<p>The ingest edge works, but there is no <code>web/dist</code> to serve. Build it with <code>make web</code>
(Node 20 or later) and load this page again.</p></body></html>
"""


def freshness(path: str, suffix: str) -> str:
    """What caches may do with a file of the page: assets are named by their content, the pages themselves change."""
    if suffix == ".html":
        return "no-cache"
    return "public, max-age=31536000, immutable" if path.startswith("assets/") else "public, max-age=3600"


def create_app(edge: Edge, peers: Peers) -> FastAPI:
    """The application over ``edge`` and its WebRTC ``peers``, which must run in the same event loop."""
    app = FastAPI(title="affectstream ingest", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=MAX_BODY_BYTES, most_of={b"application/sdp": MAX_SDP_BYTES})
    if edge.settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.strip() for origin in edge.settings.allowed_origins.split(",")],
            allow_methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["authorization", "content-type", "if-match"],
            expose_headers=["location", "link", "etag", "accept-post"],  # WHIP's
        )
    _add_errors(app)
    _add_sessions(app, edge)
    _add_media(app, edge)
    add_whip(app, edge, peers, partial(_managing_grant, edge))
    _add_rest(app, edge)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = faults_of(error.errors())
        return Problem(422, "invalid_request", "The request cannot be used", faults).response(request.url.path)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return Problem(error.status_code, "http_error", str(error.detail), detail).response(request.url.path)


def _check_origin(edge: Edge, headers: Headers) -> None:
    own = (edge.settings.public_ingest_url,)
    if not origin_allowed(headers.get("origin"), headers.get("host"), edge.settings.allowed_origins, own):
        edge.rejected("origin")
        raise Problem(
            403, "origin", "This page may not use the service", "add its origin to AFFECTSTREAM_ALLOWED_ORIGINS"
        )


def _add_sessions(app: FastAPI, edge: Edge) -> None:
    usual = parse_parameters(edge.settings.fusion_parameters)

    @app.post("/v1/sessions", status_code=201)
    async def start(request: Request, body: SessionBody) -> SessionAnswer:
        """Start a session with the consent given; the token in the answer opens its media and avatar connections.

        Who asks shows a token of a tenant with the scope ``create``: the session is that tenant's.
        """
        _check_origin(edge, request.headers)
        await _check_starts(edge, "address", address_of(request), edge.settings.starts_per_s)
        tenant = _starting_tenant(edge, request)
        await _check_starts(edge, "tenant", tenant, edge.settings.tenant_starts_per_s)
        if not edge.ready or edge.broker_away():
            edge.rejected("broker_unavailable")
            raise _unavailable("the edge does not reach Kafka")
        if edge.full:
            edge.rejected("overloaded")
            raise _unavailable("the edge has as much to do as it can")
        if len(edge.sessions) >= MAX_SESSIONS:
            edge.rejected("too_many_sessions")
            raise _unavailable(f"the edge holds {MAX_SESSIONS} sessions")
        try:
            config = FusionConfig.of({**usual, **body.parameters}, mapping=body.mapping)
        except ConfigError as error:
            raise Problem(422, "invalid_parameters", "The fusion parameters cannot be used", str(error)) from error
        try:
            calibration = None if body.calibration is None else calibration_of(**body.calibration.model_dump())
        except CalibrationError as error:
            raise Problem(422, "invalid_calibration", "The calibration cannot be used", str(error)) from error
        consent = Consent(body.consent.audio, body.consent.video, body.consent.store_raw, body.consent.fairness)
        if body.group is not None and not consent.fairness:
            edge.rejected("no_consent")
            detail = "group: is taken only with consent.fairness true: leave the group out, or ask the person"
            raise Problem(422, "no_consent", "There is no consent to that", detail)
        now_us = edge.clock.now_us()
        session_id = new_session_id(tenant)
        config, assigned = _drawn(edge, body, config, session_id)
        grant = Grant(
            session_id=session_id,
            tenant=tenant,
            scopes=consent.scopes() | body.on_device.scopes() | {"watch", "manage"},
            expires_at_s=now_us // 1_000_000 + edge.settings.token_ttl_s,
            timeline=body.timeline,
            started_at_us=now_us,
            variant=f"{assigned.experiment}/{assigned.variant}" if assigned else "",
        )
        try:
            await edge.start_session(
                grant,
                subject=body.subject,
                config=config,
                calibration=calibration,
                experiment=assigned,
                declared_group=body.group,
            )
        except BrokerAway as error:
            edge.rejected("broker_unavailable")
            raise _unavailable(str(error)) from error
        except KeyStoreError as error:
            log.exception("no session can start")
            edge.rejected("no_key_store")
            raise _unavailable("the edge cannot make the session's keys") from error
        ingest_url = edge.settings.public_ingest_url or str(request.base_url)
        egress_url = edge.settings.public_egress_url
        webrtc = edge.settings.max_peers > 0 and body.timeline == "live"
        return SessionAnswer(
            session_id=grant.session_id,
            token=edge.tokens.issue(grant, issued_at_s=now_us // 1_000_000),
            expires_at_s=grant.expires_at_s,
            media_url=_websocket_url(ingest_url, f"/v1/sessions/{grant.session_id}/media"),
            avatar_url=_websocket_url(egress_url, f"/v1/sessions/{grant.session_id}/avatar") if egress_url else None,
            whip_url=f"{ingest_url.rstrip('/')}/v1/sessions/{grant.session_id}/whip" if webrtc else None,
            ice_servers=[s.as_json() for s in ice.servers(edge.settings, grant.session_id, now_us // 1_000_000)]
            if webrtc
            else [],
        )

    @app.delete("/v1/sessions/{session_id}", status_code=204)
    async def end(session_id: str, request: Request) -> Response:
        """End a session at once. Ending it again changes nothing."""
        _managing_grant(edge, request, session_id)
        edge.end_session(session_id, "deleted")
        return Response(status_code=204)

    @app.post("/v1/sessions/{session_id}/calibration/reset")
    async def reset_calibration(session_id: str, request: Request) -> ResetAnswer:
        """Have the person's neutral face learned anew from now on."""
        grant = _managing_grant(edge, request, session_id)
        try:
            return ResetAnswer(captured_at_us=await edge.reset_calibration(grant))
        except SessionOver as error:
            edge.rejected("session_ended")
            raise Problem(410, "session_ended", "The session is over", str(error)) from error
        except TooSoon as error:
            edge.rejected("too_fast")
            raise Problem(429, "too_fast", "Too many resets", str(error), {"Retry-After": "1"}) from error
        except BrokerAway as error:
            edge.rejected("broker_unavailable")
            detail = f"{error}: try again later"
            raise Problem(503, "unavailable", "Calibration was not reset", detail, {"Retry-After": "2"}) from error


def _drawn(
    edge: Edge, body: SessionBody, config: FusionConfig, session_id: str
) -> tuple[FusionConfig, ExperimentAssignment | None]:
    """The variant that the session is given; without one, what it asked for.

    Who asks for another mapping or for parameters keeps them: with those it would be no variant any more.
    """
    if not body.experiments or body.parameters or config.mapping != FusionConfig().mapping:
        return config, None
    candidate = Candidate(body.subject or session_id, body.timeline, body.consent.audio, body.consent.video)
    drawn = edge.experiments.assign(candidate)
    if drawn is None:
        return config, None
    experiment, variant = drawn
    return variant.config, experiment.assignment(variant)


def _unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "No session can start now", f"{detail}: try again later", {"Retry-After": "2"})


def _managing_grant(edge: Edge, request: Request, session_id: str) -> Grant:
    """What the request's token allows; Problem if it does not manage this session."""
    _check_origin(edge, request.headers)
    try:
        grant = _grant(edge, request)
        grant.require(session_id, "manage")
    except TokenError as error:
        raise _unopened(edge, error) from error
    return grant


def _starting_tenant(edge: Edge, request: Request) -> str:
    """Whose the session is that the request starts; Problem if it may start none."""
    authorization = request.headers.get("authorization")
    if authorization is None and edge.settings.open_sessions:
        return DEFAULT_TENANT
    try:
        token = bearer(authorization, (), None)
        grant = edge.tokens.verify(token, now_s=edge.clock.now_us() / 1e6, audience="ingest")
        grant.require(OPERATOR, "create")
    except TokenError as error:
        raise _unopened(edge, error) from error
    if grant.tenant == EVERY_TENANT:
        raise _unopened(edge, TokenError("no_tenant", "a session is one tenant's: show a token of that tenant"))
    return grant.tenant


def _unopened(edge: Edge, error: TokenError) -> Problem:
    edge.rejected(error.reason)
    status = 403 if error.forbidden else 401
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Problem(status, error.reason, "The token does not open this", str(error), headers)


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from, a trusted proxy's word included."""
    return connection.client.host if connection.client else ""


def _grant(edge: Edge, connection: HTTPConnection) -> Grant:
    """What the token allows; TokenError, or Problem if the address or the tenant comes too often."""
    headers, now_us = connection.headers, edge.clock.now_us()
    _check_pace(edge, edge.requests, address_of(connection), "address")
    token = bearer(
        headers.get("authorization"), headers.getlist("sec-websocket-protocol"), connection.query_params.get("token")
    )
    grant = edge.tokens.verify(token, now_s=now_us / 1e6, audience="ingest")
    _check_pace(edge, edge.tenant_requests, grant.tenant, "tenant")
    return grant


def _check_pace(edge: Edge, buckets: KeyedBuckets, key: str, whose: str) -> None:
    if not buckets.take(key, edge.clock.now_us()):
        raise _too_fast(edge, "requests", buckets.rate_per_s, whose)


async def _check_starts(edge: Edge, whose: str, key: str, rate_per_s: float) -> None:
    """Starts are counted over all edges; requests, which are many more, by each edge for itself."""
    if not await edge.sharing.may_start(whose, key, rate_per_s):
        raise _too_fast(edge, "sessions", rate_per_s, whose)


def _too_fast(edge: Edge, what: str, rate_per_s: float, whose: str) -> Problem:
    edge.rejected("too_fast")
    detail = f"at most {rate_per_s:g} {what} a second from one {whose}: wait"
    return Problem(429, "too_fast", f"Too many {what}", detail, {"Retry-After": "1"})


def _websocket_url(base: str, path: str) -> str:
    parts = urlsplit(base)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, "", ""))


def _add_media(app: FastAPI, edge: Edge) -> None:
    @app.websocket("/v1/sessions/{session_id}/media")
    async def media(socket: WebSocket, session_id: str) -> None:
        offered = socket.scope["subprotocols"]
        # Accepted first, so that browsers see why they are turned away: before that, they learn nothing.
        await socket.accept(subprotocol=offered[0] if offered else None)
        try:
            _check_origin(edge, socket.headers)
            grant = _grant(edge, socket)
            grant.require(session_id, "manage")
            session = await edge.sharing.arrive(grant)
        except Problem as problem:
            code = CloseCode.TOO_FAST if problem.status == 429 else CloseCode.FORBIDDEN
            await close(socket, code, f"{problem.title}: {problem.detail}")
            return
        except TokenError as error:
            edge.rejected(error.reason)
            await close(socket, CloseCode.FORBIDDEN if error.forbidden else CloseCode.BAD_TOKEN, str(error))
            return
        except SessionOver as error:
            edge.rejected("session_ended")
            await close(socket, CloseCode.SESSION_ENDED, str(error))
            return
        if not edge.ready or edge.broker_away():
            edge.rejected("broker_unavailable")
            await close(socket, CloseCode.UNAVAILABLE, "the edge does not reach Kafka: come back later")
            return
        await serve_socket(edge, session, socket)


def _add_rest(app: FastAPI, edge: Edge) -> None:
    @app.get("/v1/client-config")
    async def client_config() -> ClientConfig:
        """Where the page finds egress and analytics."""
        return ClientConfig(
            egress_url=edge.settings.public_egress_url, analytics_url=edge.settings.public_analytics_url
        )

    @app.get("/v1/models/{name}")
    async def model(name: str) -> Response:
        """A model that pages run themselves, from this edge's cache of models."""
        file = edge.settings.cache_dir / "models" / name
        if name not in PAGE_MODELS or not file.is_file():
            known = name if name in PAGE_MODELS else ", ".join(sorted(PAGE_MODELS))
            detail = f"pages can have {known}; if it is missing here: affectstream models pull"
            raise Problem(404, "no_model", "There is no such model", detail)
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return FileResponse(file, media_type="application/octet-stream", headers=headers)

    @app.get("/healthz")
    async def healthz() -> Response:
        """200 once sessions can start, 503 while Kafka does not answer."""
        healthy = edge.ready and not edge.broker_away()
        answer: dict[str, Any] = {"ready": healthy, "sessions": len(edge.sessions)}
        return JSONResponse(answer, status_code=200 if healthy else 503)

    @app.get("/{path:path}", include_in_schema=False)
    async def page(path: str) -> Response:
        """The built page, looked up at each request so that building it needs no restart."""
        root = PAGE.resolve()
        file = (root / path).resolve()
        if file.is_dir():
            file /= "index.html"
        elif not file.suffix:
            file = file.with_suffix(".html")
        if not file.is_relative_to(root) or not file.is_file():
            if path in {"", "index.html", "wall", "analytics"}:
                return HTMLResponse(NO_PAGE, status_code=503)
            raise HTTPException(404, "Nothing is here")
        headers = {
            "Cache-Control": freshness(path, file.suffix),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return FileResponse(file, headers=headers)
