"""The sessions that an edge holds, and how each ends. Pure.

A session exists because its token says so: SessionStarted was acknowledged before the token was given out. An edge
that was restarted takes up a session at the client's next connection, and never starts it a second time. A session
ends by DELETE, by the client's ``end``, by withdrawing all consent, 30 s after its last connection, or when its token
expires. ``SessionEnded`` is published a moment after the end, so that the workers' last signals come before it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ingest.admission import RECORDED_SPEED, Admission, Rates
from ingest.clockmap import LiveTimeline, RecordedTimeline, Timeline
from ingest.consent import Consent
from ingest.features import HopGrid
from ingest.headroom import Pictures
from runtime.rates import TokenBucket
from runtime.tokens import Grant, Scope
from schemas.records import EndReason
from schemas.vocabulary import Modality

IDLE_US: Final = 30_000_000
END_GRACE_US: Final = 1_000_000
MAX_TOMBSTONES: Final = 100_000
RESETS_PER_S: Final = 1.0
RESETS_BURST: Final = 5.0

ON_DEVICE: Final[Mapping[Modality, Scope]] = {
    Modality.FACE: "face_on_device",
    Modality.SPEECH: "speech_on_device",
}
"""Scopes of a session whose client analyses a modality itself: any edge knows it from the token."""


class SessionOver(Exception):  # noqa: N818 - a condition
    """The session has ended; ``reason`` says how."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(f"the session has ended ({reason})")
        self.reason = reason


@dataclass(slots=True)
class Session:
    """One session as this edge knows it."""

    grant: Grant
    consent: Consent
    timeline: Timeline
    admission: Admission
    unattended_since_us: int
    """When its last connection ended; meaningful while ``connections`` is 0."""
    connections: int = 0
    last_sequence: dict[Modality, int] = field(default_factory=dict)
    acknowledged: dict[Modality, int] = field(default_factory=dict)
    media_end_us: int = 0
    """The end of the newest media taken, on the edge's clock."""
    hops: HopGrid = field(default_factory=HopGrid)
    """Where hops of speech lie that the client analysed itself."""
    pictures: Pictures = field(default_factory=Pictures)
    """Which of its pictures are kept when the edge has too much to do."""
    events: int = 0

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.grant.session_id

    def on_device(self, modality: Modality) -> bool:
        """Whether the client analyses this modality itself: then features of it are taken, and media of it is not."""
        return ON_DEVICE[modality] in self.grant.scopes

    def go_on(self, received: Mapping[str, int]) -> None:
        """Take up where another edge was, by modality; what this edge knows better is left."""
        for modality in Modality:
            sequence = received.get(modality.value, -1)
            if sequence > self.last_sequence.get(modality, -1):
                self.last_sequence[modality] = self.acknowledged[modality] = sequence

    def in_order(self, modality: Modality, sequence: int) -> bool:
        """Whether ``sequence`` rises; if so, it is the newest from now on."""
        if sequence <= self.last_sequence.get(modality, -1):
            return False
        self.last_sequence[modality] = sequence
        return True

    def next_event(self) -> int:
        """Number of the session's next client event at this edge."""
        self.events += 1
        return self.events - 1


@dataclass(frozen=True, slots=True)
class Ending:
    """A session whose SessionEnded is yet to be published."""

    session_id: str
    captured_at_us: int
    reason: EndReason
    publish_at_us: int


class Sessions:
    """Every session of one edge, and the ids of those that ended lately."""

    def __init__(self, rates: Rates | None = None) -> None:
        self._rates = rates or Rates()
        self._live: dict[str, Session] = {}
        self._endings: list[Ending] = []
        self._over: OrderedDict[str, EndReason] = OrderedDict()
        self._resets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._live.values()))

    def sending(self, since_us: int) -> tuple[int, int]:
        """How many have sent something, and how many of those that were started since then have not."""
        heard = silent = 0
        for session in self._live.values():
            if session.last_sequence:
                heard += 1
            elif session.grant.started_at_us >= since_us:
                silent += 1
        return heard, silent

    def get(self, session_id: str) -> Session | None:
        """The session, if it is held here and has not ended."""
        return self._live.get(session_id)

    def take_up(self, grant: Grant, now_us: int) -> Session:
        """The session of a verified token, new to this edge or not; raises SessionOver."""
        ended = self._over.get(grant.session_id)
        if ended is not None:
            raise SessionOver(ended)
        session = self._live.get(grant.session_id)
        consent = Consent.of_scopes(grant.scopes)
        if session is None:
            recorded = grant.timeline == "recorded"
            session = Session(
                grant=grant,
                consent=consent,
                timeline=RecordedTimeline(grant.started_at_us) if recorded else LiveTimeline(),
                admission=Admission(self._rates, speed=RECORDED_SPEED if recorded else 1.0),
                unattended_since_us=now_us,
            )
            self._live[grant.session_id] = session
        else:
            # An older token may hold more than is still allowed; a newer one less.
            session.consent = session.consent.narrowed(
                audio=consent.audio,
                video=consent.video,
                store_raw=consent.store_raw,
                fairness=consent.fairness,
            )
        return session

    def release(self, session_id: str) -> None:
        """Hold the session no longer: another edge serves it, and will end it."""
        self._live.pop(session_id, None)

    def connected(self, session: Session) -> None:
        """One more connection serves the session."""
        session.connections += 1

    def disconnected(self, session: Session, now_us: int) -> None:
        """One connection less."""
        session.connections -= 1
        session.unattended_since_us = now_us

    def end(self, session_id: str, reason: EndReason, now_us: int) -> bool:
        """End a session; False if it had ended before. One that is not held here ends too: the token vouches for it."""
        if session_id in self._over:
            return False
        session = self._live.pop(session_id, None)
        captured = now_us if session is None or session.media_end_us == 0 else session.media_end_us
        self._endings.append(Ending(session_id, captured, reason, now_us + END_GRACE_US))
        self._over[session_id] = reason
        if len(self._over) > MAX_TOMBSTONES:
            self._over.popitem(last=False)
        return True

    def reset_us(self, grant: Grant, now_us: int) -> int | None:
        """Event time of a reset of the calibration that is asked for now; None: too soon after others.

        Live that is the edge's clock; recorded, the end of the media taken, or the session's start if this edge has
        taken none. A session that another edge holds is not taken up for this. Raises SessionOver.
        """
        ended = self._over.get(grant.session_id)
        if ended is not None:
            raise SessionOver(ended)
        bucket = self._resets.setdefault(grant.session_id, TokenBucket(RESETS_PER_S, RESETS_BURST))
        self._resets.move_to_end(grant.session_id)
        if len(self._resets) > MAX_TOMBSTONES:
            self._resets.popitem(last=False)
        if not bucket.take(now_us):
            return None
        if grant.timeline == "live":
            return now_us
        session = self._live.get(grant.session_id)
        return max(grant.started_at_us, 0 if session is None else session.media_end_us)

    def end_reason(self, session_id: str) -> EndReason | None:
        """How the session ended, if it has."""
        return self._over.get(session_id)

    def overdue(self, now_us: int) -> list[tuple[str, EndReason]]:
        """Sessions to end now: unattended for 30 s, or with an expired token."""
        found: list[tuple[str, EndReason]] = []
        for session_id, session in self._live.items():
            if now_us >= session.grant.expires_at_s * 1_000_000:
                found.append((session_id, "expired"))
            elif session.connections == 0 and now_us - session.unattended_since_us >= IDLE_US:
                found.append((session_id, "idle"))
        return found

    def endings_due(self, now_us: int | None) -> list[Ending]:
        """Take the endings whose moment has come (None: all)."""
        due = [ending for ending in self._endings if now_us is None or ending.publish_at_us <= now_us]
        self._endings = [ending for ending in self._endings if ending not in due]
        return due
