"""What the edge's parts share: sessions, the way to Kafka, the ledger; and the housekeeping once in a while."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from ingest.courier import Courier
from ingest.features import FeatureWriter
from ingest.headroom import Headroom, Load, Shedding, asked_per_s
from ingest.outbox import Outbox, Post
from ingest.promised import PROMISE_US, Promised
from ingest.sessions import Ending, Session, SessionOver, Sessions
from ingest.sharing import Sharing
from runtime.clock import Clock
from runtime.erasures import Erasures
from runtime.errors import BrokerError, QueueFull
from runtime.eventloop import looks
from runtime.kafka import Publisher
from runtime.keystore import PURPOSE_OF, KeyRing, key_store
from runtime.ledger import Ledger
from runtime.logs import session_tag
from runtime.metrics import Metrics
from runtime.rates import KeyedBuckets
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.codec import Codec
from schemas.experiments import Catalogue
from schemas.fusion_config import FusionConfig
from schemas.records import (
    Calibration,
    ClientEvent,
    ClientEventKind,
    EndReason,
    ExperimentAssignment,
    SessionControl,
    SessionEnded,
    SessionStarted,
    Signal,
)
from schemas.topics import CLIENT_EVENTS, SIGNALS
from schemas.vocabulary import Modality, Outcome, Stage

log = logging.getLogger(__name__)

HOUSEKEEPING_S: Final = 0.25
LOOK_S: Final = 0.1
LEDGER_S: Final = 1.0
ACKNOWLEDGEMENT_S: Final = 5.0
BROKER_AWAY_US: Final = 10_000_000
"""No acknowledgement for so long although records wait: the broker is away, and clients are told so."""


class BrokerAway(BrokerError):  # noqa: N818 - a condition
    """The broker does not take records now: clients should come back later."""


class TooSoon(Exception):  # noqa: N818 - a condition
    """The client asks for this more often than it may."""


class Connection(Protocol):
    """A media connection as the edge sees it."""

    def session_ended(self, reason: EndReason) -> None:
        """Close, saying that the session has ended."""
        ...

    def replaced(self) -> None:
        """Close, saying that a newer connection serves the session."""
        ...


class Edge:
    """One ingest process. Everything here runs in the event loop's thread, and nothing blocks it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        sessions: Sessions | None = None,
        experiments: Catalogue | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.codec = Codec()
        self.features = FeatureWriter(self.codec)
        self.tokens = Tokens(settings.token_key)
        self.requests = KeyedBuckets(settings.requests_per_s)
        """By address: what shows a token, whether it is a good one or not."""
        self.tenant_requests = KeyedBuckets(settings.tenant_requests_per_s)
        self.sessions = sessions or Sessions()
        self.experiments = experiments or Catalogue()
        self.headroom = Headroom()
        self.promised = Promised()
        store = key_store(settings.data_dir)
        self.keys = KeyRing(store)
        self._erasures = Erasures(store)
        self.connections: dict[str, Connection] = {}
        self.sharing = Sharing(self)
        self._outboxes: dict[str, Outbox] = {}
        self.bytes_in = dict.fromkeys(Modality, 0)
        """Of media that came over WebSockets and data channels, since the metrics were told."""
        self.ready = False
        self._publisher = Publisher(settings, metrics)
        self.courier = Courier(self._publisher, clock, lambda: len(self.connections))
        self._ledger = self._new_ledger()
        self._post = Post(self.courier, clock, self.note, [])

    def _new_ledger(self) -> Ledger:
        return Ledger(self._publisher, self.codec, self.clock, Stage.INGEST, self.metrics)

    def note(self, session_id: str, modality: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        """Note in the ledger what became of items."""
        self._ledger.note(session_id, modality, outcome.value, sequence, count)

    def outbox(self, session: Session) -> Outbox:
        """The session's way to the broker; the same for all its connections."""
        found = self._outboxes.get(session.session_id)
        if found is None:
            found = Outbox(session, self._post)
            self._outboxes[session.session_id] = found
        return found

    def rejected(self, reason: str) -> None:
        """Count a request or connection that was refused."""
        self.metrics.count("rejected_total", reason=reason)

    def keeps_picture(self, session: Session, now_us: int) -> bool:
        """Whether a picture, or features of one, that comes now is taken; those of recordings always are."""
        return session.grant.timeline != "live" or session.pictures.keep(self.headroom.shedding, now_us)

    @property
    def full(self) -> bool:
        """Whether the edge has no headroom for new sessions."""
        return self.headroom.shedding >= Shedding.SESSIONS or not self.promised.fits(self.headroom.pressure)

    def pictures_asked_per_s(self) -> float | None:
        """How many pictures a second clients should send at most; None: as many as they like."""
        return asked_per_s(self.headroom.shedding)

    async def watch_headroom(self) -> None:
        """Measure what the edge has left, and act on it; runs until cancelled."""
        before = Shedding.NOTHING
        async for look in looks(LOOK_S):
            load = Load(look.lag_s, look.cpu, self._publisher.fullness())
            now_us = self.clock.now_us()
            shedding = self.headroom.look(load, now_us)
            sending, silent = self.sessions.sending(now_us - PROMISE_US)
            self.promised.look(load, sending, silent, now_us)
            self.metrics.set("edge_pressure", self.headroom.pressure)
            if shedding is not before:
                self.metrics.set("edge_shedding", shedding)
                log.warning(
                    "shedding %s now (was %s): pressure %.2f, loop %.0f ms late, %.0f %% of a core, queue %.0f %% full",
                    shedding.name.lower(), before.name.lower(), self.headroom.pressure,
                    load.lag_s * 1e3, load.cpu * 1e2, load.queue * 1e2,
                )  # fmt: skip
                before = shedding

    def broker_away(self) -> bool:
        """Whether the broker has not answered for so long that media is not taken any more."""
        return self.courier.away_for_us() > BROKER_AWAY_US

    async def start_session(
        self,
        grant: Grant,
        *,
        subject: str | None,
        config: FusionConfig,
        calibration: Calibration | None = None,
        experiment: ExperimentAssignment | None = None,
        declared_group: str | None = None,
        deadline_s: float = ACKNOWLEDGEMENT_S,
    ) -> None:
        """Make the session's keys, write SessionStarted and return once it is acknowledged.

        Raises BrokerAway, KeyStoreError. Who holds a token for the session may therefore take it for started, whichever
        edge they talk to. The group is written only if the grant has the scope for it.
        """
        with self.promised.starting():
            await asyncio.to_thread(self.keys.store.create, grant.session_id)
            fairness = "fairness" in grant.scopes
            started = SessionStarted(
                tenant=grant.tenant,
                subject=subject,
                timeline=grant.timeline,
                audio_consented="audio" in grant.scopes,
                video_consented="video" in grant.scopes,
                store_raw_consented="store_raw" in grant.scopes,
                speech_expected="audio" in grant.scopes,
                face_expected="video" in grant.scopes,
                config=config,
                calibration=calibration,
                experiment=experiment,
                fairness_consented=fairness,
                declared_group=declared_group if fairness else None,
            )
            if not await self._signal_kept(grant.session_id, grant.started_at_us, started, deadline_s):
                raise BrokerAway("the session could not be recorded: Kafka does not answer")
            self.sessions.take_up(grant, self.clock.now_us())

    def take_up(self, grant: Grant) -> Session:
        """The session of a verified token; raises SessionOver, also if it was erased, and KeyStoreError."""
        if self.keys.erased(grant.session_id):
            raise SessionOver("deleted")
        return self.sessions.take_up(grant, self.clock.now_us())

    async def withdraw(self, session_id: str, modality: Modality) -> None:
        """Have what there is of a modality erased whose consent was withdrawn; its key is gone when this returns."""
        scope = PURPOSE_OF[modality]
        assert scope != "record"
        await asyncio.to_thread(self._erasures.ask, session_id, scope, "consent", now_us=self.clock.now_us())

    async def reset_calibration(self, grant: Grant, *, deadline_s: float = ACKNOWLEDGEMENT_S) -> int:
        """Have a session's calibration learned anew, and return once that is in the log.

        Returns the instant of event time, in µs, from which on it is learned. Raises TooSoon, SessionOver, BrokerAway.
        """
        instant = self.sessions.reset_us(grant, self.clock.now_us())
        if instant is None:
            raise TooSoon("calibration was reset a moment ago: wait a second")
        if not await self._signal_kept(grant.session_id, instant, SessionControl("reset_calibration"), deadline_s):
            raise BrokerAway("the request could not be recorded: Kafka does not answer")
        return instant

    def end_session(self, session_id: str, reason: EndReason) -> bool:
        """End a session and close its connection; False if it had ended before."""
        if not self.sessions.end(session_id, reason, self.clock.now_us()):
            return False
        self._outboxes.pop(session_id, None)
        log.info("session %s ends: %s", session_tag(session_id), reason)
        self.sharing.ended(session_id, reason)
        connection = self.connections.get(session_id)
        if connection is not None:
            connection.session_ended(reason)
        return True

    def let_go(self, session_id: str, reason: EndReason | None = None) -> None:
        """Another edge serves the session now, or has ended it for ``reason``: hold it no longer."""
        connection = self.connections.get(session_id)
        if connection is not None and reason is not None:
            connection.session_ended(reason)
        elif connection is not None:
            connection.replaced()
        self.sessions.release(session_id)
        self._outboxes.pop(session_id, None)

    def event(
        self, session: Session, kind: ClientEventKind, received_us: int, client_id: str, *, detail: str | None = None
    ) -> None:
        """Write a client event; one that the broker's queue does not take is given up and logged."""
        record = ClientEvent(
            captured_at_us=received_us,
            received_at_us=received_us,
            kind=kind,
            sequence=session.next_event(),
            session_id=session.session_id,
            client_id=client_id,
            detail=detail,
        )
        self._write_event(record)

    def _write_event(self, event: ClientEvent) -> None:
        try:
            self._publisher.send(CLIENT_EVENTS, event.session_id, self.codec.encode(event))
        except QueueFull:
            log.exception("client event %s of session %s is lost", event.kind, session_tag(event.session_id))

    async def _signal_kept(
        self, session_id: str, captured_us: int, payload: SessionStarted | SessionControl, deadline_s: float
    ) -> bool:
        """Write a signal; whether Kafka acknowledged it within the deadline. Raises BrokerAway if it takes none."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._signal(
            session_id,
            captured_us,
            payload,
            lambda acknowledged: None if done.done() else done.set_result(acknowledged),
        )
        try:
            return await asyncio.wait_for(done, deadline_s)
        except TimeoutError:
            return False

    def _signal(
        self,
        session_id: str,
        captured_us: int,
        payload: SessionStarted | SessionControl | SessionEnded,
        settled: Callable[[bool], None],
    ) -> None:
        now = self.clock.now_us()
        signal = Signal(
            captured_at_us=captured_us,
            received_at_us=now,
            ingested_at_us=now,
            consumed_at_us=now,
            inferred_at_us=now,
            payload=payload,
            sequence=0,
            session_id=session_id,
            source="ingest",
        )
        try:
            self.courier.send(SIGNALS, session_id, self.codec.encode(signal), settled)
        except QueueFull as error:
            raise BrokerAway(str(error)) from error

    def _publish_ending(self, ending: Ending) -> None:
        def settled(acknowledged: bool) -> None:
            if not acknowledged:
                tag = session_tag(ending.session_id)
                log.error("the end of session %s is lost: fusion frees it after 15 min of silence", tag)

        try:
            self._signal(ending.session_id, ending.captured_at_us, SessionEnded(ending.reason), settled)
        except BrokerAway:
            settled(False)
        # For the viewers' sake: whoever relays frames does not read the signals.
        self._write_event(
            ClientEvent(
                captured_at_us=ending.captured_at_us,
                received_at_us=self.clock.now_us(),
                kind="session_ended",
                sequence=0,
                session_id=ending.session_id,
                client_id="",
                detail=ending.reason,
            )
        )

    async def housekeeping(self) -> None:
        """End what is overdue, publish endings, write the ledger; runs until cancelled.

        Raises DeliveryFailed if ledger entries or events were lost: the process should then be started anew.
        """
        since_ledger = 0.0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            now = self.clock.now_us()
            if self.keys.refresh():
                self._end_erased()
            await self._end_overdue(now)
            for ending in self.sessions.endings_due(now):
                self._publish_ending(ending)
            self._count_bytes()
            self.metrics.set("sessions_active", len(self.sessions))
            self.metrics.set("clients_connected", len(self.connections), kind="session")
            since_ledger += HOUSEKEEPING_S
            if since_ledger >= LEDGER_S:
                since_ledger = 0.0
                await self._write_ledger()

    async def _end_overdue(self, now_us: int) -> None:
        overdue = self.sessions.overdue(now_us)
        foreign = await self.sharing.foreign([session_id for session_id, _ in overdue])
        for session_id, reason in overdue:
            if session_id in foreign:
                self.let_go(session_id)
            else:
                self.end_session(session_id, reason)

    def _end_erased(self) -> None:
        """End sessions that were erased elsewhere; what waits of them is dropped."""
        for session in self.sessions:
            if self.keys.erased(session.session_id):
                outbox = self.outbox(session)
                for modality in Modality:
                    outbox.give_up(modality, Outcome.ERASED)
                self.end_session(session.session_id, "deleted")

    def _count_bytes(self) -> None:
        for modality, count in self.bytes_in.items():
            self.metrics.count("bytes_in_total", count, modality=modality.value)
            self.bytes_in[modality] = 0

    async def _write_ledger(self) -> None:
        for way in self._post.untold:
            way.tell()
        self._post.untold.clear()
        # A full queue makes the write wait: never in the event loop. What is noted meanwhile goes to the next one.
        full, self._ledger = self._ledger, self._new_ledger()
        await asyncio.to_thread(full.flush)

    async def close(self) -> None:
        """Publish what waits. Sessions go on: their clients find them again at the next edge."""
        for ending in self.sessions.endings_due(None):
            self._publish_ending(ending)
        self.courier.release()
        await asyncio.to_thread(self._publisher.flush, 10.0)
        self.courier.settle()
        await self._write_ledger()
        await asyncio.to_thread(self._publisher.flush, 10.0)
        self.courier.close()
        await self.sharing.close()
