"""Does what was asked for in the journal, one step after the other, whatever is killed in between.

The keys are gone before anything here begins. Then: rows, so that nobody is shown them; what the log holds, once
writers are silent and readers have passed it; what fusion's recovery stores remember; files. Every step may be done
twice. Each is noted when it is done, and after a restart the rest goes on: the journal names sessions by digests only,
and their ids are found again where they still stand.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from analytics.database import Client, Database
from analytics.erasure import files, rows
from analytics.erasure import log as record_log
from analytics.erasure.wanted import Wanted
from analytics.errors import DatabaseUnavailable
from runtime.clock import Clock
from runtime.erasures import AskedBy, Erasure, Erasures
from runtime.errors import AffectstreamError, BrokerError
from runtime.kafka import Publisher
from runtime.keystore import KeyRing
from runtime.settings import Settings
from runtime.topic_admin import begin_segments, truncate, usual_segments
from runtime.topics import offset_ranges
from schemas.codec import Codec
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS, Topic

logger = logging.getLogger(__name__)

STEPS: Final = ("rows", "log", "stores", "files")
IDLE_S: Final = 0.5
AGAIN_S: Final = 2.0
PASSED_S: Final = 20.0
MEDIA_S: Final = 10.0
"""Media that no worker takes within this time stay until retention: they are sealed, and without a key."""
LATE_EVERY_US: Final = 5_000_000
SUBJECT_S: Final = 10.0


class Hindered(AffectstreamError):  # noqa: N818 - a condition
    """A step cannot be done now; the message says why, without naming a session."""


class Eraser:
    """Owned by one thread, which :meth:`run` blocks; :meth:`ask` and :meth:`ask_subject` may be called by others."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        codec: Codec,
        *,
        clock: Clock,
        erasures: Erasures,
        gate: rows.Gate,
        topics: Mapping[Topic, tuple[str, str]],
        stop: threading.Event,
    ) -> None:
        """``topics``: Kafka's name and id of what the sink reads."""
        self._settings = settings
        self._database = database
        self._codec = codec
        self._clock = clock
        self.erasures = erasures
        self._gate = gate
        self._topics = topics
        self._stop = stop
        self._wake = threading.Event()
        self._names: dict[str, str] = {}
        self._late_us = 0
        self._publisher: Publisher | None = None

    # asked by others

    def ask(self, session_id: str, asked_by: AskedBy) -> Erasure:
        """Take a request for a session: what is sealed is unreadable when this returns. Raises KeyStoreError."""
        asked = self.erasures.ask(session_id, "session", asked_by, now_us=self._clock.now_us())
        self._names[asked.digest] = session_id
        self._wake.set()
        return asked

    def ask_subject(self, subject: str, asked_by: AskedBy, *, tag: str = "") -> list[Erasure]:
        """Take a request for every session of a subject that has started by now; waits until they are rows.

        ``tag``: only of sessions whose ids begin so (:mod:`runtime.tenancy`).

        Raises Hindered if the sink does not come so far within some seconds, DatabaseUnavailable, KeyStoreError.
        """
        ends = {(SIGNALS, p): high for p, (_, high) in offset_ranges(self._settings, SIGNALS).items()}
        client = self._database.writer()
        try:
            if late := self._not_sunk(client, ends, SUBJECT_S):
                raise Hindered(late)
            found = rows.sessions_of_subject(client, subject, tag)
        finally:
            self._database.discard(client)
        return [self.ask(session_id, asked_by) for session_id in found]

    # the thread

    def run(self) -> None:
        """Do what is asked until stopped."""
        self._prepare()
        while not self._stop.is_set():
            try:
                self._reopen_late()
                unfinished = self.erasures.unfinished()
                if unfinished:
                    self._work(unfinished)
                    continue
            except AffectstreamError as error:
                logger.warning("the journal of erasures cannot be used: %s", error)
            self._wake.wait(IDLE_S)
            self._wake.clear()
        if self._publisher is not None:
            self._publisher.flush(5.0)

    def _prepare(self) -> None:
        try:
            client = self._database.writer()
            try:
                rows.tidy_quickly(client)
            finally:
                self._database.discard(client)
        except (ClickHouseError, DatabaseUnavailable) as error:
            logger.warning("files of deleted rows may stay for minutes: %s", error)
        try:
            usual_segments(self._settings)
        except BrokerError as error:
            logger.warning("the length of Kafka's segments cannot be looked at: %s", error)

    def _reopen_late(self) -> None:
        """What came of a session after its erasure was left out of the rows; the log still has it."""
        now_us = self._clock.now_us()
        if not self._gate.late or now_us - self._late_us < LATE_EVERY_US:
            return
        self._late_us = now_us
        with self._gate.lock:
            late, self._gate.late = self._gate.late, set()
        for digest in late:
            if self.erasures.reopen(digest):
                logger.info("records of an erased session came late: erasing them, too")

    def _work(self, requests: Sequence[Erasure]) -> None:
        try:
            client = self._database.writer()
        except DatabaseUnavailable as error:
            self._hinder(requests, str(error))
            return
        try:
            self._steps(requests, client)
        except Hindered as error:
            self._hinder(requests, str(error))
        except (ClickHouseError, BrokerError, DatabaseUnavailable, OSError) as error:
            self._hinder(requests, f"{type(error).__name__}: {str(error).splitlines()[0]}")
        finally:
            self._database.discard(client)

    def _hinder(self, requests: Sequence[Erasure], problem: str) -> None:
        logger.warning("erasing, again in %g s: %s", AGAIN_S, problem)
        for request in requests:
            self.erasures.hinder(request.number, problem)
        self._stop.wait(AGAIN_S)

    def _steps(self, requests: Sequence[Erasure], client: Client) -> None:
        wanted = Wanted(self.erasures.store, self._codec, requests)
        digests = {request.digest for request in requests}
        if digests - set(self._names):
            self._names |= rows.named(client, self.erasures.store, digests - set(self._names))
        # From here on the sink lets nothing pass, and what it had in hand is in the tables.
        with self._gate.lock:
            self._gate.refresh()
        deleted = self._delete_rows(client, wanted, digests)
        self._did(requests, "rows", {f"rows {table}": count for table, count in deleted.items()})
        storable = rows.storable_sessions(client)
        if all("log" in request.done for request in requests):
            found = record_log.Found()
        else:
            found = self._log(requests, wanted, client, storable)
            if self._stop.is_set():
                return
            self._names |= found.names
            # A name that only the log knew, after a restart.
            again = self._delete_rows(client, wanted, digests)
            self._did(requests, "log", {f"rows {table}": count for table, count in again.items()})
            deleted += again
        names = [self._names[digest] for digest in wanted.whole_sessions if digest in self._names]
        scrubbed = files.scrub_recovery_stores(self._settings.data_dir, [name.encode() for name in names])
        if deleted and not rows.wait_parts_gone(client, deleted):
            logger.warning("ClickHouse still holds files of replaced parts; it removes them in its own time")
        self._did(requests, "stores", {"recovery stores": scrubbed})
        count = files.delete_files(self._settings, [*names, *wanted.whole_sessions])
        self._did(requests, "files", {"files": count})
        for request in requests:
            self.erasures.finish(request.number, now_us=self._clock.now_us())
            self._names.pop(request.digest, None)
        logger.info("%d erasures done", len(requests))

    def _delete_rows(self, client: Client, wanted: Wanted, digests: set[str]) -> Counter[str]:
        named = {self._names[d]: wanted.scopes(d) for d in digests if d in self._names}
        return rows.delete(client, named) if named else Counter()

    def _log(self, requests: Sequence[Erasure], wanted: Wanted, client: Client, storable: set[str]) -> record_log.Found:
        """Everything of the sessions out of Kafka."""
        publisher = self._publisher = self._publisher or Publisher(self._settings)

        def end(session_id: str, newest_us: int) -> None:
            signal = record_log.ended_signal(self._clock, session_id, newest_us)
            publisher.send_waiting(SIGNALS, session_id, self._codec.encode(signal))
            publisher.flush()

        found = record_log.search(self._settings, self._codec, wanted, end=end, stopped=self._stop.is_set)
        if self._stop.is_set() or not found.ends:
            return found
        self._begin_segments(found)
        stopped = self._stop.is_set
        late = record_log.unread(self._settings, found.ends, deadline_s=PASSED_S, stopped=stopped)
        late = late or self._not_sunk(client, found.ends, PASSED_S)
        if late:
            raise Hindered(late)
        media = record_log.ready_media(self._settings, found.ends, deadline_s=MEDIA_S, stopped=stopped)
        cut = {place: end_ for place, end_ in found.ends.items() if place[0] not in {MEDIA_AUDIO, MEDIA_VIDEO}}
        cut |= {place: found.ends[place] for place in media}
        keys = KeyRing(self.erasures.store)
        keys.refresh()
        carried = record_log.carry_over(self._settings, self._codec, wanted, keys, publisher, cut, storable=storable)
        truncate(self._settings, cut)
        counts = {f"records {topic}": count for topic, count in found.records.items()}
        counts |= {f"carried over {topic}": count for topic, count in carried.items()}
        self._did(requests, "log", counts)
        return found

    def _begin_segments(self, found: record_log.Found) -> None:
        """Raise the ends into new segments, so that the broker can delete the files of what is cut off."""
        try:
            found.ends.update(begin_segments(self._settings, list(found.ends)))
        except BrokerError as error:
            logger.warning("what is cut off stays on the broker's disk until its partitions move on: %s", error)

    def _not_sunk(self, client: Client, ends: Mapping[tuple[Topic, int], int], deadline_s: float) -> str:
        """Wait until the sink has made rows of everything below the ends; what it has not, or an empty string."""
        ids = dict(self._topics.values())
        until_us = self._clock.now_us() + int(deadline_s * 1e6)
        while True:
            reached = rows.reached(client, ids)
            late = [
                f"{topic}[{partition}]"
                for (topic, partition), end in ends.items()
                if topic in self._topics and reached.get((self._topics[topic][0], partition), 0) < end
            ]
            if not late:
                return ""
            if self._stop.is_set() or self._clock.now_us() > until_us:
                return f"the sink has not come so far in {', '.join(late[:5])}"
            self._stop.wait(0.2)

    def _did(self, requests: Sequence[Erasure], step: str, counts: Mapping[str, int]) -> None:
        """Note a step; what it came to stands with the first of the requests that were done together."""
        for request in requests:
            self.erasures.did(request.number, step, counts if request is requests[0] else {})
