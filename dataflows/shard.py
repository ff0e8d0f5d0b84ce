"""All sessions of one Kafka partition: messages in, frames and ledger entries out, snapshots as plain bytes."""

import hashlib
import heapq
import json
import struct
import zlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from backports import zstd

from dataflows import calibration, core, layout
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
    RING,
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
from dataflows.wire import FrameEncoder, SignalDecoder
from runtime.errors import RecoveryError
from schemas.bulk import UNREADABLE as UNREADABLE_KIND
from schemas.bulk import SignalBatch
from schemas.codec import Codec
from schemas.fusion_config import PARAMETERS, FusionConfig
from schemas.records import LedgerEntry, SessionControl, SessionStarted, Signal
from schemas.topics import CUT_KEY
from schemas.vocabulary import BLENDSHAPES, Modality, Stage

MODALITIES: Final = (Modality.FACE.value, Modality.SPEECH.value, "")
OUTPUT_FRAMES: Final = 4_096
FIRST_CAPACITY: Final = 16
CONFIGURATIONS: Final = 256
"""That are remembered as checked: most sessions have one of a few."""
FETCHED: Final = 128
"""Records whose sessions' state is fetched ahead: some 5 kB each, of a processor's cache of a megabyte or two."""

MAGIC: Final = b"affectstream-shard\n"
SNAPSHOT_VERSION: Final = 3
QUICKLY: Final = -20
"""Level at which snapshots are compressed: to 0.4 of their size, in half of the time that SQLite takes for the rest."""


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


def layout_digest() -> str:
    """Names the meaning of a snapshot's bytes: what differs cannot be restored."""
    shape = (ROW.descr, RING, layout.F_WIDTH, layout.S_WIDTH, list(PARAMETERS), BLENDSHAPES, OUTCOMES)
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:16]


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
        header = {
            "version": SNAPSHOT_VERSION,
            "layout": layout_digest(),
            "partition": self.partition,
            "partitions": self.partitions,
            "next_offset": self.next_offset,
            "capacity": len(self._session_of),
            "clock": self._state.partition.tolist(),
            "sessions": len(rows),
            "ids": [len(session) for session in sessions],
        }
        packed = self._state.rows[rows]
        parts: list[Any] = [rows, packed.view(np.uint8)]
        for modality, values, stamps in _rings(self._state):
            which, slot = _used_slots(rows, packed, modality)
            parts += [stamps[which, slot], values[which, slot]]
        text = json.dumps(header).encode()
        # Sessions are named outside of what is compressed: who looks for one in a store's files must find it.
        body = [struct.pack("<I", len(text)), text, *sessions, zstd.compress(b"".join(parts), QUICKLY)]
        checksum = 0
        for part in body:
            checksum = zlib.crc32(part, checksum)
        return b"".join([MAGIC, struct.pack("<I", checksum), *body])

    @classmethod
    def restore(cls, data: bytes, partitions: int, codec: Codec | None = None) -> "Shard":
        """The shard that gave ``data``; raises RecoveryError if that cannot go on with so many partitions."""
        header, sessions, body = _opened(data, partitions)
        shard = cls(header["partition"], partitions, codec)
        shard.next_offset = header["next_offset"]
        shard._resize(max(header["capacity"], FIRST_CAPACITY))
        state, count = shard._state, header["sessions"]
        state.partition[:] = header["clock"]
        rows = np.frombuffer(body.take(8 * count), np.int64)
        packed = np.frombuffer(body.take(ROW.itemsize * count), ROW)
        state.rows[rows] = packed
        for r, session in zip(rows.tolist(), sessions, strict=True):
            shard._session_of[r] = session
            shard._roster.add(session, r)
        for modality, values, stamps in _rings(state):
            which, slot = _used_slots(rows, packed, modality)
            stamps[which, slot] = np.frombuffer(body.take(8 * layout.N_HOPS * len(which)), np.int64).reshape(
                -1, layout.N_HOPS
            )
            width = values.shape[2]
            values[which, slot] = np.frombuffer(body.take(4 * width * len(which)), np.float32).reshape(-1, width)
        body.end()
        shard._free = [r for r in range(len(shard._session_of)) if not shard._session_of[r]]
        heapq.heapify(shard._free)
        return shard


def checked_parameters(config: FusionConfig) -> Mapping[str, float]:
    """Every known parameter of a session: recorded, or what sessions older than it were fused by.

    Raises ValueError on one that is not a number within its range.
    """
    return _checked(tuple(config.parameters.items()))


@lru_cache(maxsize=CONFIGURATIONS)
def _checked(recorded: tuple[tuple[str, float], ...]) -> Mapping[str, float]:
    given, found = dict(recorded), {}
    for name, parameter in PARAMETERS.items():
        value = given.get(name, parameter.unrecorded)
        if not parameter.minimum <= value <= parameter.maximum:
            msg = f"{name} = {value} is outside [{parameter.minimum}, {parameter.maximum}]"
            raise ValueError(msg)
        found[name] = float(value)
    if found["mouth_off"] > found["mouth_on"]:
        msg = "mouth_off exceeds mouth_on"
        raise ValueError(msg)
    return MappingProxyType(found)


def checked_calibration(started: SessionStarted) -> tuple[Sequence[float], Sequence[float]] | None:
    """Neutral AUs (0..1) and gains (0..10) that a session was given, if any; ValueError if they cannot be used."""
    given = started.calibration
    if given is None:
        return None
    neutral, gain = given.au_neutral, given.au_gain
    if len(neutral) != layout.N_AUS or len(gain) != layout.N_AUS:
        msg = f"calibration must have {layout.N_AUS} neutral intensities and gains"
        raise ValueError(msg)
    if not all(0.0 <= value <= 1.0 for value in neutral) or not all(0.0 <= value <= 10.0 for value in gain):
        msg = "calibration is out of range"
        raise ValueError(msg)
    return neutral, gain


def row_bytes(state: State) -> npt.NDArray[np.uint8]:
    """The same rows as bytes, (capacity, ROW.itemsize)."""
    return state.rows.view(np.uint8).reshape(len(state.rows), ROW.itemsize)


def _rings(state: State) -> tuple[tuple[int, Any, Any], ...]:
    return (
        (FACE, state.face_values, state.face_stamps),
        (SPEECH, state.speech_values, state.speech_stamps),
    )


def _used_slots(rows: layout.Int64s, packed: Any, modality: int) -> tuple[layout.Int64s, layout.Int64s]:
    """Row and ring slot of every sample that these sessions hold of a modality."""
    counts = packed["count"][:, modality]
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(rows, counts), (np.repeat(packed["head"][:, modality], counts) + nth) % RING


class _Body:
    """Bytes to take from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise RecoveryError("the snapshot ends early")
        self._at += size
        return taken

    def rest(self) -> bytes:
        """What was not taken yet."""
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

    def end(self) -> None:
        if self._at != len(self._data):
            raise RecoveryError("the snapshot has bytes left over")


def _opened(data: bytes, partitions: int) -> tuple[dict[str, Any], list[bytes], _Body]:
    """A snapshot's header, sessions and arrays, checked against what this process is to restore."""
    if not isinstance(data, bytes) or not data.startswith(MAGIC):
        raise RecoveryError("what the recovery store holds is no snapshot of a fusion shard")
    start = len(MAGIC) + 4
    body = data[start:]
    if len(body) < 4 or struct.pack("<I", zlib.crc32(body)) != data[len(MAGIC) : start]:
        raise RecoveryError("a fusion shard's snapshot is damaged: its checksum differs")
    plain = _Body(body)
    (length,) = struct.unpack("<I", plain.take(4))
    header: dict[str, Any] = json.loads(plain.take(length))
    if header["version"] != SNAPSHOT_VERSION or header["layout"] != layout_digest():
        msg = (
            f"partition {header['partition']}: the snapshot was written by another version of the product (version "
            f"{header['version']}, layout {header['layout']}; this one: {SNAPSHOT_VERSION}, {layout_digest()})"
        )
        raise RecoveryError(msg)
    if header["partitions"] != partitions:
        msg = (
            f"partition {header['partition']}: the snapshot was taken when the topic had {header['partitions']} "
            f"partitions; now it has {partitions}, and sessions lie elsewhere"
        )
        raise RecoveryError(msg)
    sessions = [plain.take(length) for length in header["ids"]]
    try:
        return header, sessions, _Body(zstd.decompress(plain.rest()))
    except zstd.ZstdError as error:
        raise RecoveryError(f"a fusion shard's snapshot is damaged: {error}") from error
