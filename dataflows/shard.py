"""All sessions of one Kafka partition: messages in, frames and ledger entries out, snapshots as plain bytes."""

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dataflows import calibration, core, layout, snapshot
from dataflows.alignment import first_tick_us
from dataflows.layout import (
    ACTIVE,
    CLOSED_BY,
    ENTRIES,
    FACE,
    FLAG_CLOSED_BY,
    FLAG_DISCONTINUITY,
    FRAMES,
    FREED,
    INVALID,
    LATEST_US,
    LEDGER_TICKS,
    LIFECYCLE,
    OUTCOMES,
    RECORD,
    ROW,
    SECOND_START,
    SESSION_OUTCOMES,
    SILENT,
    SPEECH,
    TICKS_A_SECOND,
    UNKNOWN_SESSION,
    UNREADABLE,
    US,
    USED,
    State,
    new_output,
    new_state,
)
from dataflows.roster import Names, Roster
from dataflows.session_config import checked_calibration, checked_parameters
from dataflows.snapshot import Place
from dataflows.wire import FrameEncoder, SignalDecoder
from runtime.errors import RecoveryError
from schemas.bulk import UNREADABLE as UNREADABLE_KIND
from schemas.bulk import SignalBatch
from schemas.codec import Codec
from schemas.records import LedgerEntry, SessionControl, SessionStarted, Signal
from schemas.topics import CUT_KEY
from schemas.vocabulary import Modality, Stage

MODALITIES: Final = (Modality.FACE.value, Modality.SPEECH.value, "")
OUTPUT_FRAMES: Final = 4_096
FIRST_CAPACITY: Final = 16
FETCHED: Final = 128
"""Records whose sessions' state is fetched ahead: some 5 kB each, of a processor's cache of a megabyte or two."""


# Plain tuples: there are tens of thousands a second.
Message = tuple[int, bytes, bytes | None]
"""One Kafka record of the partition: offset, key, value."""
Frame = tuple[bytes, bytes]
"""One encoded avatar frame: session, value."""


class Unreadable(NamedTuple):
    """A record that is no signal, and why."""

    message: Message
    error: str


@dataclass(slots=True)
class Step:
    """What a batch of messages led to, in log order."""

    frames: list[Frame] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    taken: int = 0
    """Messages that were not known already."""
    outcomes: dict[str, int] = field(default_factory=dict)
    closed_by: dict[str, int] = field(default_factory=dict)
    discontinuities: int = 0
    freed: dict[str, int] = field(default_factory=dict)
    last_tick_us: int = -1
    """Instant of the last frame's tick."""
    last_hops_ms: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """That frame's hop stamps, by modality."""


class Shard:
    """The state of one partition. Not thread-safe; never blocks, reads no clock, does no I/O."""

    def __init__(self, partition: int, partitions: int, codec: Codec | None = None) -> None:
        self.partition = partition
        self.partitions = partitions
        self.next_offset = -1
        """Offset of the next message to take; -1 before the first."""
        codec = codec or Codec()
        self._decoder = SignalDecoder(codec)
        self._encoder = FrameEncoder(codec)
        self._state = new_state(FIRST_CAPACITY)
        self._lines = row_bytes(self._state)
        self._output = new_output(OUTPUT_FRAMES)
        self._work = core.workspace()
        self._roster = Roster(FIRST_CAPACITY)
        self._sessions: list[bytes] = []
        self._names = Names.of([])
        # Of the batch that is being taken.
        self._session_of: list[bytes] = [b""] * FIRST_CAPACITY
        self._free = list(range(FIRST_CAPACITY))
        self._leaving: list[int] = []
        # Rows of ended sessions that frames in the output still refer to.

    @property
    def sessions(self) -> int:
        """Sessions that have a row."""
        return len(self._roster)

    def step(self, messages: Sequence[Message]) -> Step:
        """Take messages in offset order.

        Those below ``next_offset`` are known and dropped. Raises RecoveryError if one is missing in between: the
        input topic is neither compacted nor transactional, so its offsets have no gaps of Kafka's own.
        """
        result = Step()
        messages = self._new_ones(messages)
        if not messages:
            return result
        _, keys, values = zip(*messages, strict=True)
        if None in values:
            messages = [message for message in messages if message[2] is not None or message[1] != CUT_KEY]
            if not messages:
                return result
            _, keys, values = zip(*messages, strict=True)
        result.taken = len(messages)
        signals, self._names = self._decoder.read(values, keys)
        self._sessions = signals.sessions
        batch = layout.Batch(
            rows=np.full(len(messages), -1, np.int64),
            modality=signals.kind,
            stamps=signals.stamps,
            sequence=signals.sequence,
            place=signals.place,
            faces=signals.faces,
            speeches=signals.speeches,
            outcomes=np.full(len(messages), UNKNOWN_SESSION, np.int8),
        )
        begin = 0
        for cut in (*sorted(signals.lifecycle), len(messages)):
            self._fuse(begin, cut, signals, batch, result)
            if cut < len(messages):
                batch.outcomes[cut] = self._lifecycle(cut, signals.lifecycle[cut], result)
                begin = cut + 1
        self._empty_output(result)
        for i in sorted(signals.errors):
            batch.outcomes[i] = UNREADABLE
            result.unreadable.append(Unreadable(messages[i], signals.errors[i]))
            session = messages[i][1].decode(errors="replace")
            result.ledger.append(self._entry(session, "", UNREADABLE, 0, detail=signals.errors[i]))
        counts = np.bincount(batch.outcomes, minlength=len(OUTCOMES)).tolist()
        result.outcomes = {name: count for name, count in zip(OUTCOMES, counts, strict=True) if count}
        return result

    def _new_ones(self, messages: Sequence[Message]) -> Sequence[Message]:
        offsets = [offset for offset, _, _ in messages]
        known = bisect_left(offsets, self.next_offset)
        if known:
            messages, offsets = messages[known:], offsets[known:]
        if offsets:
            expected = self.next_offset if self.next_offset >= 0 else offsets[0]
            self.next_offset = expected + len(offsets)
            if offsets != list(range(expected, self.next_offset)):
                wrong = next(offset for n, offset in enumerate(offsets) if offset != expected + n)
                msg = f"partition {self.partition}: records are missing before offset {wrong}, from {expected} on"
                raise RecoveryError(msg)
        return messages

    def _fuse(self, begin: int, end: int, signals: SignalBatch, batch: layout.Batch, result: Step) -> None:
        """Run the core over the samples in [begin, end), which holds no lifecycle records."""
        if begin == end:
            return
        self._roster.find(self._names, begin, end, batch.rows)
        # Many records of few sessions find their state in the caches anyway.
        spread = end - begin <= len(self._roster)
        at = stop = begin
        while at < end:
            if at == stop:
                stop = min(at + FETCHED, end) if spread else end
                if spread:
                    core.fetch(at, stop, batch, self._lines, self._state)
            at = core.fuse(at, stop, batch, self._state, self._output, self._work)
            if at < stop:
                self._empty_output(result)
        self._free_silent(result)
        unknown = np.flatnonzero(
            (batch.outcomes[begin:end] == UNKNOWN_SESSION) & (signals.kind[begin:end] != UNREADABLE_KIND)
        )
        for i in (unknown + begin).tolist():
            session = signals.sessions[i].decode()
            at_us = int(signals.stamps[i, 0])
            modality, sequence = MODALITIES[signals.kind[i]], int(signals.sequence[i])
            result.ledger.append(self._entry(session, modality, UNKNOWN_SESSION, at_us, sequence=sequence))

    def _lifecycle(self, record: int, signal: Signal, result: Step) -> int:
        """Start, steer or end a session; returns the outcome."""
        session = signal.session_id.encode()
        row = self._roster.get(session)
        instant = signal.captured_at_us
        if row is None and not isinstance(signal.payload, SessionStarted):
            entry = self._entry(signal.session_id, "", UNKNOWN_SESSION, instant, sequence=signal.sequence)
            result.ledger.append(entry)
            return UNKNOWN_SESSION
        if row is None:
            outcome, detail = self._start(session, signal, result)
            if outcome == INVALID:
                entry = self._entry(signal.session_id, "", INVALID, instant, sequence=signal.sequence, detail=detail)
                result.ledger.append(entry)
                return INVALID
            row = self._roster.get(session)
            assert row is not None
        else:
            outcome = INVALID if not 0 <= instant < LATEST_US else USED
            if outcome == USED and isinstance(signal.payload, SessionStarted):
                outcome = SECOND_START
        counts = self._state.rows[row]["counts"]
        counts[LIFECYCLE, outcome] += 1
        if outcome != INVALID:
            self._state.rows[row]["seen_us"] = self._state.partition[layout.CLOCK]
            core.observe_time(self._state, instant)
            self._state.rows[row]["seen_us"] = self._state.partition[layout.CLOCK]
        if outcome == USED and isinstance(signal.payload, SessionControl):
            # A newer request that comes before the ticks of an older one replaces it.
            self._state.rows[row]["reset_us"] = instant
        elif outcome == USED and not isinstance(signal.payload, SessionStarted):
            self._make_room(int(self._state.rows[row]["most_ticks"]), result)
            self._output.used[RECORD] = record
            core.end_session(row, instant, self._state, self._output, self._work)
            self._release([row], "ended", result)
        self._free_silent(result)
        return outcome

    def _start(self, session: bytes, signal: Signal, result: Step) -> tuple[int, str]:
        """Give a new session a row; INVALID and the reason if it says what cannot be used."""
        payload = signal.payload
        assert isinstance(payload, SessionStarted)
        if not 0 <= signal.captured_at_us < LATEST_US:
            return INVALID, "captured_at_us is out of range"
        try:
            parameters = checked_parameters(payload.config)
            given = checked_calibration(payload)
        except ValueError as error:
            return INVALID, str(error)
        if self._leaving:
            # So that a session's row does not depend on how the log is cut into batches.
            self._empty_output(result)
        if not self._free:
            self._grow()
        r = heapq.heappop(self._free)
        self._roster.add(session, r)
        self._session_of[r] = session
        row = self._state.rows[r]
        self._state.rows[r] = np.zeros((), ROW)
        row["active"] = ACTIVE
        row["started_us"] = row["clock_us"] = signal.captured_at_us
        row["t0_us"] = first_tick_us(signal.captured_at_us)
        row["mapping"] = layout.MAPPINGS.index(payload.config.mapping)
        row["smoothing"] = layout.SMOOTHINGS.index(payload.config.smoothing)
        row["max_wait_us"] = max_wait = round(parameters["max_wait_ms"] * 1e3)
        row["live_us"] = round(parameters["live_ms"] * 1e3)
        # A tick must be closed before the silence around it can be known.
        row["max_gap_us"] = max_gap = max(round(parameters["max_gap_ms"] * 1e3), max_wait + US // TICKS_A_SECOND + 1)
        row["slack_us"][FACE] = round(parameters["face_slack_ms"] * 1e3)
        row["slack_us"][SPEECH] = round(parameters["speech_slack_ms"] * 1e3)
        longest_us = max_wait + max_gap + int(row["slack_us"].max())
        row["most_ticks"] = longest_us * TICKS_A_SECOND // US + 4
        row["expected"][FACE] = payload.face_expected
        row["expected"][SPEECH] = payload.speech_expected
        row["newest_us"] = row["sequence"] = -1
        row["ledger_due"] = LEDGER_TICKS
        row["config"] = list(parameters.values())
        calibration.prepare(row, given)
        return USED, ""

    def _grow(self) -> None:
        before = len(self._session_of)
        self._resize(2 * before)
        self._free = list(range(before, 2 * before))

    def _resize(self, capacity: int) -> None:
        old, new = self._state, new_state(capacity)
        count = len(self._session_of)
        for name in ("rows", "face_values", "face_stamps", "speech_values", "speech_stamps"):
            getattr(new, name)[:count] = getattr(old, name)
        new.partition[:] = old.partition
        self._state = new
        self._lines = row_bytes(new)
        self._session_of += [b""] * (capacity - count)
        self._roster.resize(capacity)

    def _free_silent(self, result: Step) -> None:
        if self._state.partition[FREED] == 0:
            return
        self._state.partition[FREED] = 0
        rows = np.flatnonzero(self._state.rows["active"] == SILENT).tolist()
        for r in rows:
            self._make_room(1, result)
            core.write_counts(r, self._state, self._output, int(self._state.rows[r]["clock_us"]))
        self._release(rows, "silent", result)

    def _release(self, rows: Sequence[int], reason: str, result: Step) -> None:
        """Let sessions go. Their rows are free once the output, which names sessions by row, has been emptied."""
        for r in rows:
            self._state.rows[r]["active"] = layout.FREE
            self._roster.remove(self._session_of[r])
        self._leaving += rows
        result.freed[reason] = result.freed.get(reason, 0) + len(rows)

    def _make_room(self, frames: int, result: Step) -> None:
        if OUTPUT_FRAMES - int(self._output.used[:RECORD].max()) < frames + 1:
            self._empty_output(result)

    def _empty_output(self, result: Step) -> None:
        output = self._output
        frames, entries, _record = output.used.tolist()
        if frames:
            # Objects that have just been made: a session's own would have to be fetched from memory.
            sessions = map(self._sessions.__getitem__, output.record[:frames].tolist())
            flags = output.flags[:frames]
            values = self._encoder.write(output, self._names)
            result.frames += zip(sessions, values, strict=True)
            counts = np.bincount(flags[:, FLAG_CLOSED_BY], minlength=len(CLOSED_BY)).tolist()
            for name, count in zip(CLOSED_BY, counts, strict=True):
                if count:
                    result.closed_by[name] = result.closed_by.get(name, 0) + count
            result.discontinuities += int(flags[:, FLAG_DISCONTINUITY].sum())
            result.last_tick_us = int(output.tick_us[frames - 1])
            face, speech = output.hops[frames - 1].tolist()
            result.last_hops_ms = (tuple(face), tuple(speech))
        for entry in range(entries):
            session = self._session_of[int(output.entry_row[entry])].decode()
            instant = int(output.entry_us[entry])
            tick = int(output.entry_tick[entry])
            for modality in range(3):
                for outcome in range(SESSION_OUTCOMES):
                    count = int(output.entry_counts[entry, modality, outcome])
                    if count:
                        result.ledger.append(
                            self._entry(session, MODALITIES[modality], outcome, instant, count=count, sequence=tick)
                        )
        output.used[FRAMES] = output.used[ENTRIES] = 0
        for r in self._leaving:
            self._session_of[r] = b""
            heapq.heappush(self._free, r)
        self._leaving.clear()

    @staticmethod
    def _entry(
        session: str,
        modality: str,
        outcome: int,
        instant_us: int,
        *,
        count: int = 1,
        sequence: int = -1,
        detail: str = "",
    ) -> LedgerEntry:
        return LedgerEntry(
            recorded_at_us=instant_us,
            stage=Stage.FUSION.value,
            modality=modality,
            outcome=OUTCOMES[outcome],
            count=count,
            first_sequence=sequence,
            last_sequence=sequence,
            session_id=session,
            detail=detail,
        )

    def open_counts(self) -> dict[tuple[str, str, str], int]:
        """What the ledger does not say yet: counts by session, modality and outcome since each one's last entry."""
        found = {}
        for session, r in self._roster.items():
            for (modality, outcome), count in np.ndenumerate(self._state.rows[r]["counts"]):
                if count:
                    found[session.decode(), MODALITIES[modality], OUTCOMES[outcome]] = int(count)
        return found

    def snapshot(self) -> bytes:
        """Everything that :meth:`restore` needs, as bytes that share nothing with this object."""
        rows = np.array(self._roster.rows(), np.int64)
        sessions = [self._session_of[r] for r in rows.tolist()]
        place = Place(self.partition, self.partitions, self.next_offset)
        return snapshot.pack(place, self._state, rows, sessions)

    @classmethod
    def restore(cls, data: bytes, partitions: int, codec: Codec | None = None) -> "Shard":
        """The shard that gave ``data``; raises RecoveryError if that cannot go on with so many partitions."""
        kept = snapshot.unpack(data, partitions)
        shard = cls(kept.place.partition, partitions, codec)
        shard.next_offset = kept.place.next_offset
        shard._resize(max(kept.capacity, FIRST_CAPACITY))
        for r, session in zip(kept.rows.tolist(), kept.sessions, strict=True):
            shard._session_of[r] = session
            shard._roster.add(session, r)
        kept.fill(shard._state)
        shard._free = [r for r in range(len(shard._session_of)) if not shard._session_of[r]]
        heapq.heapify(shard._free)
        return shard


def row_bytes(state: State) -> npt.NDArray[np.uint8]:
    """The same rows as bytes, (capacity, ROW.itemsize)."""
    return state.rows.view(np.uint8).reshape(len(state.rows), ROW.itemsize)
