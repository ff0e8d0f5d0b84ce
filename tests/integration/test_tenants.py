"""One tenant never reads, follows, changes, ends, erases or lists another's sessions: every endpoint is tried.

Which endpoints there are is taken from the OpenAPI documents and the routes themselves. What names a session is tried
as it stands; what does not must be in the tables below. So an endpoint added without thought for tenants fails here.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect

from analytics.aggregates import Aggregator
from analytics.api import Context, create_app
from analytics.database import Database
from analytics.database import connect as open_database
from analytics.erasure.eraser import Eraser
from analytics.erasure.rows import Gate
from analytics.queries import Queries
from cli.fusing import fuse_session
from egress.server import ENDPOINTS as EGRESS_ENDPOINTS
from ingest.app import create_app as create_edge
from ingest.edge import Edge
from ingest.webrtc.peers import Peers
from runtime.clock import SystemClock
from runtime.erasures import Erasures
from runtime.keystore import key_store
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tenancy import EVERY_TENANT, new_session_id
from runtime.tokens import OPERATOR, SCOPES, TENANT_SCOPES, Grant, Tokens
from schemas.close_codes import CloseCode
from schemas.codec import Codec
from schemas.records import ExperimentAssignment, SessionStarted
from tests.support.edges import Running, egress, ingest
from tests.support.frames import FramePublisher
from tests.support.rows import insert
from tests.support.session_records import ack, frame, whole_session
from tests.support.waiting import eventually_async

Endpoint = tuple[str, str]
"""Method and path."""

CLOCK = SystemClock()
CODEC = Codec()
PERIOD = {"from_ms": 0, "to_ms": 4_000_000_000_000}
PEOPLE = "a person of both"

INGEST_OPEN = {
    ("POST", "/v1/sessions"): "starts a session of the token's own tenant: tested below",
    ("OPTIONS", "/v1/sessions/{session_id}/whip"): "says which methods there are",
    ("OPTIONS", "/v1/sessions/{session_id}/whip/{connection_id}"): "says which methods there are",
    ("GET", "/v1/client-config"): "knows of no session",
    ("GET", "/v1/models/{name}"): "knows of no session",
    ("GET", "/healthz"): "counts, and names nobody",
}
ANALYTICS_OPEN = {("GET", "/healthz"): "knows of no session"}
PLATFORM: dict[Endpoint, Any] = {
    ("GET", "/v1/counts"): None,
    ("GET", "/v1/erasures"): None,
    ("POST", "/v1/sql"): {"sql": "SELECT 1"},
    ("POST", "/v1/export"): {"sql": "SELECT 1"},
}
"""Not sorted by session: only for those who run the deployment."""

NARROWED: dict[Endpoint, dict[str, Any]] = {
    ("GET", "/v1/sessions"): {},
    ("GET", "/v1/wall"): {"params": {"ended_within_s": 86_400}},
    ("GET", "/v1/explorer"): {},
    ("GET", "/v1/trends"): {"params": PERIOD},
    ("GET", "/v1/drift"): {"params": {**PERIOD, "reference_from_ms": 0, "reference_to_ms": PERIOD["to_ms"]}},
    ("GET", "/v1/experiments"): {},
    ("GET", "/v1/experiments/{name}"): {"path": {"name": "livelier"}},
    ("POST", "/v1/erasures"): {"json": {"subject": PEOPLE}},
}
"""Of many sessions: of the tenant's."""

BODIES: dict[Endpoint, Any] = {("POST", "/v1/sessions/{session_id}/variant"): {"mapping": "direct_au"}}


def endpoints(app: FastAPI) -> set[Endpoint]:
    """Every operation of the app's OpenAPI document."""
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


def sockets(app: FastAPI) -> set[str]:
    """Every path that takes WebSockets, which the document does not tell of."""
    return {route.path for route in app.routes if isinstance(route, WebSocketRoute)}


@dataclass
class Tenant:
    name: str
    session_id: str
    tokens: Tokens

    def every_token(self) -> dict[str, str]:
        """All that a tenant can be given: for its own session, and for all of its sessions, with every scope."""
        now_s = int(time.time())
        grants = {
            "of its session": Grant(self.session_id, self.name, SCOPES - {"create"}, now_s + 600),
            "of its sessions": Grant(OPERATOR, self.name, TENANT_SCOPES | SCOPES, now_s + 600),
        }
        return {what: self.tokens.issue(grant, issued_at_s=now_s) for what, grant in grants.items()}


def shown(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tenants(settings: Settings) -> tuple[Tenant, Tenant]:
    tokens = Tokens(settings.token_key)
    return Tenant("acme", new_session_id("acme"), tokens), Tenant("umbra", new_session_id("umbra"), tokens)


@pytest.fixture
def analytics(settings: Settings, tenants: tuple[Tenant, Tenant]) -> Iterator[TestClient]:
    """The API over rows of a session of each tenant, both of the same person and in the same experiment."""
    database = open_database(settings)
    records: list[Any] = []
    for n, tenant in enumerate(tenants):
        name = tenant.session_id
        first, *rest = whole_session(name, 4)
        assert isinstance(first.payload, SessionStarted)
        assigned = ExperimentAssignment("livelier", "usual", "1")
        records += [replace(first, payload=replace(first.payload, subject=PEOPLE, experiment=assigned)), *rest]
        records += [*(frame(name, k) for k in range(60 + 30 * n)), ack(name, 10)]
    aggregator = Aggregator("t", "i")
    insert(database, records, aggregator=aggregator)
    aggregator.compute(database.writer())
    store = key_store(settings.data_dir)
    for tenant in tenants:
        store.create(tenant.session_id)
    eraser = _eraser(settings, database, store)

    def record(session_id: str, path: Path, *, media: bool) -> None:
        path.write_bytes(session_id.encode())

    context = Context(settings, Queries(database, {}), CODEC, CLOCK, Metrics("analytics"), eraser, record, fuse_session)
    try:
        yield TestClient(create_app(context))
    finally:
        store.close()
        database.close()


def _eraser(settings: Settings, database: Database, store: Any) -> Eraser:
    return Eraser(
        settings, database, CODEC, clock=CLOCK, erasures=Erasures(store), gate=Gate(store), topics={},
        stop=threading.Event(),
    )  # fmt: skip


def ask(client: Any, endpoint: Endpoint, session_id: str, token: str, **more: Any) -> httpx.Response:
    method, path = endpoint
    named = {"session_id": session_id, "connection_id": "c1", **more.pop("path", {})}
    body = more.pop("json", BODIES.get(endpoint))
    answer: httpx.Response = client.request(
        method, path.format(**named), headers=shown(token), **({} if body is None else {"json": body}), **more
    )
    return answer


def test_every_endpoint_of_analytics_is_tried(analytics: TestClient) -> None:
    known = endpoints(analytics.app)  # type: ignore[arg-type]
    of_a_session = {(method, path) for method, path in known if "{session_id}" in path}
    named = PLATFORM.keys() | NARROWED.keys() | ANALYTICS_OPEN.keys()
    assert known - of_a_session == named, "an endpoint that names no session must be in one of the tables above"
    assert not sockets(analytics.app)  # type: ignore[arg-type]
    assert len(of_a_session) >= 9


def test_sessions_of_others_are_not_there(analytics: TestClient, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    known = endpoints(analytics.app)  # type: ignore[arg-type]
    opened = set()
    for endpoint in sorted((method, path) for method, path in known if "{session_id}" in path):
        for what, token in other.every_token().items():
            answer = ask(analytics, endpoint, mine.session_id, token)
            assert answer.status_code in {403, 404}, (endpoint, what, answer.text)
            absent = ask(analytics, endpoint, new_session_id(mine.name), token)
            assert absent.json()["code"] == answer.json()["code"], "no telling a foreign session from none"
            assert mine.session_id not in answer.text.replace(answer.json()["instance"], "").replace(
                f"no session {mine.session_id}", ""
            )
        for token in mine.every_token().values():
            # Erasing comes last: what is erased is not read.
            if "erasure" not in endpoint[1] and ask(analytics, endpoint, mine.session_id, token).is_success:
                opened.add(endpoint)
    erase: Endpoint = ("POST", "/v1/sessions/{session_id}/erasure")
    token = mine.every_token()["of its session"]
    assert ask(analytics, ("GET", erase[1]), mine.session_id, token).json()["code"] == "unknown_session"
    for endpoint in (erase, ("GET", erase[1]), ("POST", erase[1] + "/verify")):
        for token in mine.every_token().values():
            if ask(analytics, endpoint, mine.session_id, token).is_success:
                opened.add(endpoint)
    assert opened == {(method, path) for method, path in known if "{session_id}" in path}, "the owner opens each"


def test_what_is_of_many_sessions_is_of_the_tenants(analytics: TestClient, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    every = mine.tokens.issue(Grant(OPERATOR, EVERY_TENANT, TENANT_SCOPES, 1 << 40), issued_at_s=0)
    for endpoint, more in NARROWED.items():
        whole = ask(analytics, endpoint, "", every, **dict(more))
        assert whole.is_success, (endpoint, whole.text)
        answers = {}
        for tenant, stranger in ((mine, other), (other, mine)):
            answer = ask(analytics, endpoint, "", tenant.every_token()["of its sessions"], **dict(more))
            assert answer.is_success, (endpoint, answer.text)
            assert stranger.session_id not in answer.text, endpoint
            if tenant.session_id in whole.text:
                assert tenant.session_id in answer.text, endpoint
            answers[tenant.name] = answer.json()
            own = ask(analytics, endpoint, "", tenant.every_token()["of its session"], **dict(more))
            assert own.status_code == 403, (endpoint, own.text)
        assert answers["acme"] != whole.json(), f"{endpoint}: a tenant is told what all are"
        if endpoint[1] in {"/v1/trends", "/v1/drift"}:
            assert answers["acme"] != answers["umbra"], endpoint


def test_what_cannot_be_narrowed_is_for_the_deployment(analytics: TestClient, tenants: tuple[Tenant, Tenant]) -> None:
    every = tenants[0].tokens.operator(issued_at_s=0, ttl_s=1 << 40)
    for endpoint, body in PLATFORM.items():
        for token in tenants[0].every_token().values():
            answer = ask(analytics, endpoint, "", token, json=body)
            assert (answer.status_code, answer.json()["code"]) in {(403, "not_platform"), (403, "not_operator")}
        assert ask(analytics, endpoint, "", every, json=body).is_success, endpoint


def test_every_endpoint_of_the_edge_is_tried(settings: Settings, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    with ingest(settings) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        paths = http.get("/openapi.json").json()["paths"]
        known = {(method.upper(), path) for path, methods in paths.items() for method in methods}
        assert {e for e in known if "{session_id}" not in e[1]} <= INGEST_OPEN.keys()
        assert INGEST_OPEN.keys() <= known
        session = started(http, mine)
        assert session["session_id"].startswith(mine.session_id[:12])
        tried = known - INGEST_OPEN.keys()
        assert len(tried) == 5
        for endpoint in sorted(tried):
            for what, token in other.every_token().items():
                answer = ask(http, endpoint, session["session_id"], token)
                assert (answer.status_code, answer.json()["code"]) == (403, "wrong_session"), (endpoint, what)
        assert http.get("/healthz").json()["sessions"] == 1
        for endpoint in sorted(tried, reverse=True):  # DELETE of the session last
            answer = ask(http, endpoint, session["session_id"], session["token"])
            code = answer.json().get("code") if answer.content else None
            assert answer.is_success or code not in {"wrong_session", "missing_scope"}, endpoint


def started(http: httpx.Client, tenant: Tenant) -> dict[str, Any]:
    token = tenant.every_token()["of its sessions"]
    answer = http.post("/v1/sessions", json={"consent": {"video": True}}, headers=shown(token))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_without_a_token_to_create_no_session_starts(settings: Settings, tenants: tuple[Tenant, Tenant]) -> None:
    mine, _ = tenants
    closed = settings.model_copy(update={"open_sessions": False})
    now_s = int(time.time())
    every = mine.tokens.issue(Grant(OPERATOR, EVERY_TENANT, frozenset({"create"}), now_s + 60), issued_at_s=now_s)
    observer = mine.tokens.observer(issued_at_s=now_s, ttl_s=60, tenant="acme")
    manager = mine.tokens.operator(issued_at_s=now_s, ttl_s=60, tenant="acme")
    with ingest(closed) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        for headers, status, code in (
            ({}, 401, "missing_token"),
            (shown("x"), 401, "malformed_token"),
            (shown(observer), 403, "wrong_audience"),
            (shown(manager), 403, "missing_scope"),
            (shown(mine.every_token()["of its session"]), 403, "wrong_session"),
            (shown(every), 403, "no_tenant"),
        ):
            answer = http.post("/v1/sessions", json={}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        session = started(http, mine)
        grant = mine.tokens.verify(session["token"], now_s=now_s, audience="ingest")
        assert (grant.tenant, grant.session_id) == ("acme", session["session_id"])


def test_a_tenant_starts_no_more_sessions_than_it_may(settings: Settings, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    slow = settings.model_copy(update={"tenant_starts_per_s": 0.1, "requests_per_s": 0.3})
    with ingest(slow) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        session = started(http, mine)
        refused = http.post("/v1/sessions", json={}, headers=shown(mine.every_token()["of its sessions"]))
        assert (refused.status_code, refused.json()["code"]) == (429, "too_fast")
        assert "one tenant" in refused.json()["detail"]
        started(http, other)
        path = f"/v1/sessions/{session['session_id']}"
        codes = [http.delete(path, headers=shown("x")).json()["code"] for _ in range(5)]
        assert codes == ["malformed_token"] * 3 + ["too_fast"] * 2
        # A proxy that is trusted says that this is somebody else.
        elsewhere = {**shown(session["token"]), "X-Forwarded-For": "198.51.100.7"}
        assert http.delete(path, headers=elsewhere).status_code == 204


async def test_every_socket_is_tried(settings: Settings, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    assert set(EGRESS_ENDPOINTS) == {"/v1/sessions/{session_id}/avatar", "/v1/wall"}
    unused = Edge(settings, CLOCK, Metrics("ingest"))
    assert sockets(create_edge(unused, Peers(unused))) == {"/v1/sessions/{session_id}/media"}
    await unused.close()
    with ingest(settings) as edge, egress(settings) as relay:
        with httpx.Client(base_url=edge.url, trust_env=False) as http:
            session = await asyncio.to_thread(started, http, mine)
        for running, path in ((edge, "media"), (relay, "avatar")):
            for what, token in other.every_token().items():
                code = await closed_with(running, f"/v1/sessions/{session['session_id']}/{path}", token)
                assert code == CloseCode.FORBIDDEN, (path, what)
        assert await closed_with(relay, "/v1/wall", session["token"]) == CloseCode.FORBIDDEN


async def closed_with(running: Running, path: str, token: str) -> int | None:
    async with connect(f"{running.ws}{path}", proxy=None, subprotocols=[f"bearer.{token}"]) as socket:
        async with asyncio.timeout(10):
            await socket.wait_closed()
        return socket.close_code


async def test_a_wall_knows_and_shows_its_tenants_sessions_only(
    settings: Settings, tenants: tuple[Tenant, Tenant]
) -> None:
    mine, other = tenants
    publisher = FramePublisher(settings, CLOCK)
    observer = mine.tokens.observer(issued_at_s=int(time.time()), ttl_s=60, tenant=mine.name)
    told: list[dict[str, Any]] = []
    with egress(settings) as running:
        async with connect(f"{running.ws}/v1/wall", proxy=None, subprotocols=[f"bearer.{observer}"]) as socket:
            await socket.send(orjson.dumps({"type": "watch", "sessions": [mine.session_id, other.session_id]}).decode())
            sequences = iter(range(1_000))

            async def listen() -> None:
                async for message in socket:
                    told.append(orjson.loads(message))  # noqa: PERF401 - looked at meanwhile

            async def both_seen() -> bool:
                sequence = next(sequences)
                publisher.publish(other.session_id, sequence)
                publisher.publish(mine.session_id, sequence)
                shows = {m["session_id"] for m in told if m["type"] == "avatar_frame"}
                present = [m["quiet_ms"] for m in told if m["type"] == "presence" and m["quiet_ms"]]
                return bool(shows and len(present) >= 2)

            listening = asyncio.create_task(listen())
            await eventually_async(both_seen, every_s=0.1, deadline_s=20)
            listening.cancel()
    assert {m["session_id"] for m in told if m["type"] == "avatar_frame"} == {mine.session_id}
    assert {name for m in told if m["type"] == "presence" for name in m["quiet_ms"]} == {mine.session_id}
