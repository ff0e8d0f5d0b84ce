"""Requests that the OpenAPI documents allow, and many that they do not, by schemathesis against the running services.

A real broker, a real edge and the API over a real ClickHouse engine; schemathesis comes by ``uv tool run``, in an
environment of its own. A finding is any answer of 500 and more, or none.
"""

import json
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any, Final

import httpx

from analytics.aggregates import Aggregator
from analytics.api import Context
from analytics.database import connect as open_database
from analytics.erasure.eraser import Eraser
from analytics.erasure.rows import Gate
from analytics.queries import Queries
from analytics.role import _serving as serving_analytics
from cli.broker import EmbeddedKafka, prepare
from cli.fusing import fuse_session
from runtime.clock import SystemClock
from runtime.erasures import Erasures
from runtime.keystore import key_store
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import OPERATOR, SCOPES, Grant, Tokens
from runtime.topics import ensure_topics
from schemas.codec import Codec
from tests.support.edges import ingest
from tests.support.rows import insert
from tests.support.session_records import frame, whole_session

SCHEMATHESIS: Final = "schemathesis==4.32.5"
SESSIONS: Final = 12
SEED: Final = 8
GENERATED: Final = re.compile(r"(\d[\d,]*) generated")


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one service."""

    name: str
    requests: int
    ok: bool
    told: str


def fuzz(uv: Path, cache: Path, folder: Path, examples: int) -> list[Came]:
    """Ask both services; each operation gets up to ``examples`` random requests besides those of its edges."""
    with ExitStack() as stack:
        broker = EmbeddedKafka(prepare(cache), folder / "kafka")
        broker.start()
        stack.callback(broker.stop)
        settings = Settings.from_env(
            {}, kafka_bootstrap_servers=broker.bootstrap_servers, partitions=2, cache_dir=cache, open_sessions=True,
            data_dir=folder / "data", starts_per_s=1e6, tenant_starts_per_s=1e6, requests_per_s=1e6,
            tenant_requests_per_s=1e6, offers_per_minute=100_000,
        )  # fmt: skip
        settings.data_dir.mkdir()
        came = []
        for name, serve in (("ingest", _edge), ("analytics", _analytics)):
            own = settings.model_copy(update={"topic_prefix": f"f{uuid.uuid4().hex[:8]}."})
            ensure_topics(own)
            url, document, session_ids, token = stack.enter_context(serve(own))
            path = folder / f"{name}.json"
            path.write_text(json.dumps(_named(document, session_ids)), encoding="utf-8")
            came.append(_ask(uv, name, path, url, token, examples))
        return came


@contextmanager
def _edge(settings: Settings) -> Iterator[tuple[str, Any, list[str], str]]:
    with ingest(settings) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        opened = [http.post("/v1/sessions", json={"consent": {"video": True}}).json() for _ in range(SESSIONS)]
        # One token opens one session: the others are somebody else's.
        token = opened[0]["token"]
        yield running.url, http.get("/openapi.json").json(), [each["session_id"] for each in opened], token


@contextmanager
def _analytics(settings: Settings) -> Iterator[tuple[str, Any, list[str], str]]:
    with ExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.close)
        names = [f"session{n}" for n in range(SESSIONS)]
        aggregator = Aggregator("t", "i")
        store = key_store(settings.data_dir)
        stack.callback(store.close)
        records: list[Any] = []
        for name in names:
            store.create(name)
            records += [*whole_session(name, 2), *(frame(name, k) for k in range(60))]
        insert(database, records, aggregator=aggregator)
        aggregator.compute(database.writer())
        clock, codec = SystemClock(), Codec()
        eraser = Eraser(
            settings, database, codec, clock=clock, erasures=Erasures(store), gate=Gate(store), topics={},
            stop=threading.Event(),
        )  # fmt: skip

        def record(session_id: str, path: Path, *, media: bool) -> None:
            path.write_bytes(session_id.encode())

        context = Context(
            settings, Queries(database, {}), codec, clock, Metrics("analytics"), eraser, record, fuse_session
        )
        listener = stack.enter_context(create_server(("127.0.0.1", 0)))
        stack.enter_context(serving_analytics(context, listener, threading.Event()))
        now_s = int(time.time())
        grant = Grant(OPERATOR, "*", SCOPES, now_s + 3_600)
        token = Tokens(settings.token_key).issue(grant, issued_at_s=now_s)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield url, httpx.get(f"{url}/v1/openapi.json", trust_env=False).json(), names, token


def _named(document: Any, session_ids: Sequence[str]) -> Any:
    """The document with sessions that there are, or most requests would end at the first check."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "session_id":
                    parameter["schema"] = {"type": "string", "enum": [*session_ids, "nobody"]}
    return document


def _ask(  # noqa: PLR0917
    uv: Path, name: str, document: Path, url: str, token: str, examples: int
) -> Came:
    command = [
        str(uv.absolute()), "tool", "run", "--quiet", "--from", SCHEMATHESIS, "schemathesis", "run", str(document),
        "--url", url, "-H", f"Authorization: Bearer {token}", "--checks", "not_a_server_error",
        "--max-examples", str(examples),
        "--seed", str(SEED), "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color",
        "--request-timeout", "60",
    ]  # fmt: skip
    # It leaves a folder of its own where it runs.
    answer = subprocess.run(command, cwd=document.parent, capture_output=True, text=True, check=False)
    counts = [int(found.replace(",", "")) for found in GENERATED.findall(answer.stdout)]
    return Came(name, max(counts, default=0), answer.returncode == 0 and bool(counts), answer.stdout + answer.stderr)
