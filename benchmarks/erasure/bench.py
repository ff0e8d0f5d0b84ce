"""One session erased among a million rows: real Kafka, fusion, ClickHouse, and every store searched afterwards."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from analytics.client import AnalyticsClient
from analytics.errors import DatabaseUnavailable
from benchmarks.fusion.signals import session_ids
from benchmarks.sink.log import SinkLog
from cli.laboratory import AnalyticsProcess, FusionProcess, own_topics
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.tokens import Tokens
from runtime.topics import offset_ranges
from schemas.topics import AVATAR_FRAMES, SIGNALS

DEADLINE_S: Final = 240.0
ASK_S: Final = 0.1
PARTITIONS: Final = 6
TOKEN_TTL_S: Final = 3_600

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much there is: rows are 85 a second of each session."""

    sessions: int = 120
    seconds: int = 100

    def quick(self) -> "Plan":
        """A look at whether it works."""
        return replace(self, sessions=12, seconds=10)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave."""

    rows: int
    """In all tables before."""
    records: int
    """In signals and frames before."""
    session_rows: int
    taken_s: float
    """Until the request was answered: what is sealed is unreadable from then on."""
    erased_s: float
    """Until everything was done."""
    verified_s: float
    counts: Mapping[str, int]
    ok: bool
    """Whether nothing readable was left, and every other session kept its rows."""

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        return {
            "rows": self.rows, "records": self.records, "session_rows": self.session_rows,
            "taken_s": round(self.taken_s, 3), "erased_s": round(self.erased_s, 1),
            "verified_s": round(self.verified_s, 1), "counts": dict(self.counts), "ok": self.ok,
        }  # fmt: skip


def measure(settings: Settings, plan: Plan, progress: Progress) -> Result:
    """Fill the stores, erase one session, search for it; raises AffectstreamError if a part does not do its work."""
    base = settings.model_copy(update={"partitions": PARTITIONS})
    with ExitStack() as stack:
        own = stack.enter_context(own_topics(base, "erasure"))
        log = SinkLog(plan.sessions, plan.seconds, PARTITIONS)
        fusion, analytics = FusionProcess(own), AnalyticsProcess(own)
        for process in (fusion, analytics):
            stack.callback(process.kill)
            process.start()
        fusion.wait_working()
        progress(f"writing {log.signals:,} signals of {plan.sessions} sessions")
        publisher = Publisher(own, linger_ms=20.0)
        for piece in log.records():
            for record in piece:
                if record.topic == SIGNALS:
                    publisher.send_waiting(SIGNALS, record.key, record.value)
        publisher.flush()
        progress("fusing them, and making rows of signals and frames")
        fusion.wait_caught_up()
        token = Tokens(own.token_key).operator(issued_at_s=SystemClock().now_us() // 1_000_000, ttl_s=TOKEN_TTL_S)
        with AnalyticsClient(analytics.url, token) as api:
            records = sum(high for t in (SIGNALS, AVATAR_FRAMES) for _, high in offset_ranges(own, t).values())
            analytics.wait_until(lambda: _rows(api) >= records, "every record a row", DEADLINE_S)
            return _erase(api, analytics, session_ids(plan.sessions)[plan.sessions // 2], records, progress)


def _erase(api: AnalyticsClient, analytics: AnalyticsProcess, name: str, records: int, progress: Progress) -> Result:
    rows, mine = _rows(api), _rows(api, name)
    progress(f"{rows:,} rows; erasing one session, {mine:,} of them")
    began_s = time.monotonic()
    api.erase(name)
    taken_s = time.monotonic() - began_s
    analytics.wait_until(lambda: api.erasure(name)["finished_at_us"], "erased", DEADLINE_S)
    erased_s = time.monotonic() - began_s
    progress("searching every store")
    proof = api.verify_erasure(name)
    left, others = _rows(api, name), _rows(api)
    # Minutes are computed now and then, and the erasure's own entries are counted, too: others can only become more.
    ok = bool(proof["ok"]) and left == 0 and others >= rows - mine
    return Result(rows, records, mine, taken_s, erased_s, float(proof["seconds"]), api.erasure(name)["counts"], ok)


def _rows(api: AnalyticsClient, name: str = "") -> int:
    where = f"WHERE session_id = '{name}'" if name else ""
    tables = ("sessions", "face_signals", "speech_signals", "avatar_frames", "ledger", "client_events")
    counts = ", ".join(f"(SELECT count() FROM {table} {where})" for table in tables)  # noqa: S608
    try:
        return int(sum(api.sql(f"SELECT {counts}")["rows"][0]))
    except DatabaseUnavailable:
        return -1


def failed(result: Result) -> str:
    """Why a run does not show what it should; empty if it does."""
    if not result.ok:
        return "something of the session was left, or other sessions lost rows"
    if result.erased_s > 60.0:
        return f"it took {result.erased_s:.0f} s, not at most 60"
    return ""
