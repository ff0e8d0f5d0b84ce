"""Did everything that went in come out? The end of a headless demo: frames, rows against records, the ledger."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from runtime.clock import Clock
from runtime.errors import BrokerError
from runtime.settings import Settings
from runtime.tls import client_context
from runtime.tokens import Tokens
from runtime.topics import offset_ranges
from schemas.topics import Topic

POLL_S: Final = 0.25
TIMEOUT_S: Final = 15.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TopicVerdict:
    """Records in Kafka and rows in ClickHouse of one topic."""

    records: int
    rows: int
    distinct: int
    unreadable: int
    complete: bool
    """Every partition was taken to its end, and each readable record is exactly one row."""


def compare(counts: Json, ends: Mapping[Topic, Mapping[int, tuple[int, int]]]) -> dict[str, TopicVerdict]:
    """What analytics counted against Kafka's offsets (first kept, next) by partition."""
    verdicts: dict[str, TopicVerdict] = {}
    for topic, partitions in ends.items():
        counted = counts["topics"].get(topic, {"rows": 0, "distinct": 0, "unreadable": 0, "partitions": []})
        taken = {p["partition"]: (p["first_offset"], p["next_offset"]) for p in counted["partitions"]}
        at_end = all(taken.get(partition, (0, 0))[1] == end for partition, (_, end) in partitions.items() if end > 0)
        # What Kafka has deleted since was taken before: the sink's own beginning counts.
        records = sum(end - taken.get(partition, (first, 0))[0] for partition, (first, end) in partitions.items())
        rows, distinct, unreadable = counted["rows"], counted["distinct"], counted["unreadable"]
        complete = at_end and rows == distinct == records - unreadable
        verdicts[topic] = TopicVerdict(records, rows, distinct, unreadable, complete)
    return verdicts


class Auditor:
    """Asks the analytics API and Kafka."""

    def __init__(self, settings: Settings, analytics_url: str, clock: Clock) -> None:
        self._settings = settings
        self._url = analytics_url
        self._clock = clock

    def topics(self) -> dict[str, TopicVerdict]:
        """Every topic that has rows; raises httpx.HTTPError or BrokerError while something does not answer."""
        counts = self._get("/v1/counts")
        ends = {topic: offset_ranges(self._settings, topic) for topic in counts["topics"]}
        return compare(counts, ends)

    def balance(self, session_id: str) -> Json:
        """The ledger's checks of one session."""
        return self._get(f"/v1/sessions/{session_id}/balance?media=true")

    def settle(
        self, session_id: str, *, deadline_s: float, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[dict[str, TopicVerdict], Json]:
        """Ask until every topic is complete and the ledger balances, or the deadline has passed; the last answers.

        ``meanwhile`` is called between the questions. Raises httpx.HTTPError or BrokerError if there never was one.
        """
        until = time.monotonic() + deadline_s
        answers: tuple[dict[str, TopicVerdict], Json] | None = None
        while True:
            try:
                answers = self.topics(), self.balance(session_id)
                if all(verdict.complete for verdict in answers[0].values()) and answers[1]["balanced"]:
                    return answers
            except (httpx.HTTPError, BrokerError):
                if answers is None and time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                assert answers is not None
                return answers
            meanwhile()
            time.sleep(POLL_S)

    def _get(self, path: str) -> Json:
        token = Tokens(self._settings.token_key).operator(issued_at_s=self._clock.now_us() // 1_000_000, ttl_s=60)
        answer = httpx.get(
            self._url + path,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=client_context(),
        )
        answer.raise_for_status()
        found: Json = answer.json()
        return found
