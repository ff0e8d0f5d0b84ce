"""Features that clients send instead of media: checked as untrusted input, and written as signals. Pure.

The layout is that of :mod:`schemas.features`. Ranges are those of the signals' fields, so that nothing passes that a
worker could not have written. The numbers stand in a payload as they do in the log's Avro, little-endian floats: they
are checked all at once and copied, never unpacked, which is what makes a session on its device cheap here.
"""

import re
import struct
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ingest.admission import Refused
from schemas.bulk import derive_layout
from schemas.codec import Codec
from schemas.features import (
    DEGRADED,
    DETECTED,
    FACE_BYTES,
    FACE_FIELDS,
    FACE_FLOATS,
    FACE_HEAD,
    LAYOUT_VERSION,
    LONGEST_ENGINE,
    SPEECH_BYTES,
    SPEECH_FIELDS,
    SPEECH_FLOATS,
    SPEECH_HEAD,
)
from schemas.records import Signal
from schemas.varints import varint
from schemas.vocabulary import Modality, Outcome

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

HOP_US: Final = 40_000
IN_STEP_US: Final = 30_000
"""A hop is taken for the next one of its session if it ends at most this far from where that should end."""

MAX_FACES: Final = 32
MAX_INFERENCE_US: Final = 5_000_000
MAX_ENGINES: Final = 64
"""Names of engines that are remembered as well-formed; all are forgotten when there are more."""

TOLERANCE: Final = 1e-3
"""32-bit arithmetic may overstep a range by this much; fusion allows the same."""
SUM_TOLERANCE: Final = 0.02

_ENGINE: Final = re.compile(rb"[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9._+-]*")

_UNIT: Final = (0.0, 1.0)
_SIGNED: Final = (-1.0, 1.0)
_RANGES: Final = {
    "valence": _SIGNED,
    "arousal": _SIGNED,
    "dominance": _SIGNED,
    "yaw_deg": (-180.0, 180.0),
    "pitch_deg": (-90.0, 90.0),
    "roll_deg": (-180.0, 180.0),
    "gaze_x": _SIGNED,
    "gaze_y": _SIGNED,
    "box": (-4.0, 4.0),  # a face may stick out of the picture
    "energy_dbfs": (-200.0, 20.0),
    "emotion_age_ms": (0.0, 600_000.0),
}
"""Of all other fields: 0 to 1."""


class _Scratch(threading.local):
    """Memory in which the numbers of one message are looked at: a thread's own, as edges of one process may be many."""

    def __init__(self, count: int) -> None:
        numbers = bytearray(4 * count)
        self.numbers = memoryview(numbers)
        self.values: Floats = np.frombuffer(numbers, "<f4")
        self.marks = bytearray(2 * count)
        marks: Booleans = np.frombuffer(self.marks, np.bool_)
        self.above, self.below = marks[:count], marks[count:]


class _Numbers:
    """The floats of one kind: where each field stands, and its range."""

    def __init__(self, fields: Sequence[tuple[str, int]], start: int) -> None:
        self.names = [name for name, count in fields for _ in range(count)]
        limits = np.array([_RANGES.get(name, _UNIT) for name in self.names], np.float32)
        tolerance = np.float32(TOLERANCE)
        self._low: Floats = limits[:, 0] - tolerance
        self._high: Floats = limits[:, 1] + tolerance
        self.count = len(self.names)
        self.start = start
        self.stop = start + 4 * self.count
        self.zeros = bytes(4 * self.count)
        self._scratch = _Scratch(self.count)

    def check(self, payload: bytes) -> None:
        """Raise Refused, naming the first field that is not finite or not in its range."""
        scratch = self._scratch
        scratch.numbers[:] = payload[self.start : self.stop]
        # NaN is within nothing.
        np.greater_equal(scratch.values, self._low, scratch.above)
        np.less_equal(scratch.values, self._high, scratch.below)
        if 0 in scratch.marks:  # a tenth of what asking an array costs
            at = int(np.argmin(scratch.above & scratch.below))
            low, high = _RANGES.get(self.names[at], _UNIT)
            raise Refused(
                Outcome.MALFORMED,
                f"{self.names[at]} is {scratch.values[at]:g}: a number from {low:g} to {high:g} was expected",
            )

    def part(self, *names: str) -> tuple[struct.Struct, int]:
        """What reads the numbers of neighbouring fields, and where in a payload they begin."""
        count = sum(self.names.count(name) for name in names)
        return struct.Struct(f"<{count}f"), self.start + 4 * self.names.index(names[0])


_FACE: Final = _Numbers(FACE_FIELDS, FACE_HEAD.size)
_SPEECH: Final = _Numbers(SPEECH_FIELDS, SPEECH_HEAD.size)
_FACE_EMOTIONS, _FACE_EMOTIONS_AT = _FACE.part("emotion_scores")
_SPEECH_EMOTIONS, _SPEECH_EMOTIONS_AT = _SPEECH.part("emotion_scores", "emotion_unknown")  # with "none of them"
_VISEMES, _VISEMES_AT = _SPEECH.part("viseme_scores")


class Features(NamedTuple):
    """Checked features of one picture or hop."""

    modality: Modality
    payload: bytes
    engine: bytes
    inference_us: int
    detected: bool
    degraded: bool
    face_count: int = 0
    track_id: int = -1


_engines: dict[bytes, bytes] = {}


def read_face(payload: bytes) -> Features:
    """The face features in ``payload``; raises Refused."""
    if len(payload) < FACE_BYTES:
        raise Refused(Outcome.MALFORMED, f"{len(payload)} bytes: face features have {FACE_BYTES} and their engine")
    version, flags, faces, name_length, inference_us, track_id = FACE_HEAD.unpack_from(payload)
    if version != LAYOUT_VERSION or flags > DETECTED | DEGRADED or inference_us > MAX_INFERENCE_US:
        _refuse_head(version, flags & ~(DETECTED | DEGRADED), inference_us)
    engine = _engine(payload, FACE_BYTES, name_length)
    detected = bool(flags & DETECTED)
    if faces > MAX_FACES or track_id < -1:
        raise Refused(Outcome.MALFORMED, f"{faces} faces, track {track_id}: 0 to {MAX_FACES} faces, a track from -1 on")
    if detected:
        _FACE.check(payload)
        total = sum(_FACE_EMOTIONS.unpack_from(payload, _FACE_EMOTIONS_AT))
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise Refused(Outcome.MALFORMED, f"the emotion scores of a face sum to {total:g}, not to 1")
    elif payload[_FACE.start : _FACE.stop] != _FACE.zeros:
        raise Refused(Outcome.MALFORMED, "no face was detected: every number must be 0")
    return Features(Modality.FACE, payload, engine, inference_us, detected, bool(flags & DEGRADED), faces, track_id)


def read_speech(payload: bytes) -> Features:
    """The speech features in ``payload``; raises Refused."""
    if len(payload) < SPEECH_BYTES:
        raise Refused(Outcome.MALFORMED, f"{len(payload)} bytes: speech features have {SPEECH_BYTES} and their engine")
    version, flags, reserved, name_length, inference_us = SPEECH_HEAD.unpack_from(payload)
    if version != LAYOUT_VERSION or flags & ~DEGRADED or reserved or inference_us > MAX_INFERENCE_US:
        _refuse_head(version, flags & ~DEGRADED | reserved, inference_us)
    engine = _engine(payload, SPEECH_BYTES, name_length)
    _SPEECH.check(payload)
    emotions = sum(_SPEECH_EMOTIONS.unpack_from(payload, _SPEECH_EMOTIONS_AT))
    visemes = sum(_VISEMES.unpack_from(payload, _VISEMES_AT))
    if emotions > 1.0 + SUM_TOLERANCE:
        raise Refused(Outcome.MALFORMED, f"the emotion scores of speech sum to {emotions:g}: at most 1 was expected")
    if abs(visemes - 1.0) > SUM_TOLERANCE:
        raise Refused(Outcome.MALFORMED, f"the visemes sum to {visemes:g}, not to 1")
    return Features(Modality.SPEECH, payload, engine, inference_us, True, bool(flags & DEGRADED))


def _refuse_head(version: int, spare: int, inference_us: int) -> NoReturn:
    if version != LAYOUT_VERSION:
        raise Refused(Outcome.UNSUPPORTED, f"layout {version} of features: this edge knows {LAYOUT_VERSION}")
    if spare:
        raise Refused(Outcome.MALFORMED, "unknown flags, or a reserved byte that is not 0")
    raise Refused(Outcome.MALFORMED, f"an inference of {inference_us} us: at most {MAX_INFERENCE_US} is believed")


def _engine(payload: bytes, start: int, length: int) -> bytes:
    name = payload[start:]
    known = _engines.get(name)
    if known is not None and len(name) == length:
        return known
    if len(name) != length or not 0 < length <= LONGEST_ENGINE:
        raise Refused(
            Outcome.MALFORMED, f"{len(name)} bytes for an engine of {length}: 1 to {LONGEST_ENGINE} and as many"
        )
    if not _ENGINE.fullmatch(name):
        raise Refused(Outcome.MALFORMED, "an engine is called name@version: lower case letters, digits, '.', '_', '-'")
    if len(_engines) >= MAX_ENGINES:
        _engines.clear()
    return _engines.setdefault(name, name)


class HopGrid:
    """Lays a session's hops on the grid of 40 ms since the Unix epoch, as the speech worker's hops lie. Pure.

    A client cuts its sound where it pleases, so a hop ends up to 20 ms before or after the place of the grid next to
    it, which is the place that it gets. From then on hops follow each other place by place, as long as each ends
    within 30 ms of its place: neither the clocks' jitter nor rounding leaves a hole or fills a place twice. Beyond
    that (lost hops, a clock that was set) the next hop gets the place next to it again.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def place(self, ended_us: int) -> int | None:
        """Number of the hop that ended at this instant; None: its place is taken already."""
        if self._last is not None and abs(ended_us - (self._last + 1) * HOP_US) <= IN_STEP_US:
            number = self._last + 1
        else:
            number = (ended_us + HOP_US // 2) // HOP_US
            if self._last is not None and number <= self._last:
                return None
        self._last = number
        return number


class _Body:
    """The fixed part of a signal's payload in Avro, and where the floats of a feature message go in it."""

    def __init__(self, codec: Codec, branch: str, numbers: _Numbers) -> None:
        layout = derive_layout("Signal", codec.prefix(Signal), branch)
        start = layout.instants.stop  # the union's branch: what comes before is written anew each time
        blank = bytearray(layout.dtype.itemsize)
        for at, value in zip(layout.marker_at.tolist(), layout.marker.tolist(), strict=True):
            blank[at] = value
        del blank[:start]
        assert layout.dtype.fields is not None
        offsets = {name: int(entry[1]) - start for name, entry in layout.dtype.fields.items()}
        runs: list[tuple[int, int]] = []
        for name in dict.fromkeys(numbers.names):
            size, target = 4 * numbers.names.count(name), offsets[name]
            if runs and runs[-1][1] == target:  # next to the one before, here and there
                runs[-1] = (runs[-1][0], target + size)
            else:
                runs.append((target, target + size))
        self._runs = struct.Struct("".join(f"{stop - start}s" for start, stop in runs))
        """The floats of a message, in pieces that stand together in the log."""
        assert self._runs.size == numbers.stop - numbers.start
        self._start = numbers.start
        self._parts = {
            (detected, degraded): self._cut(blank, offsets, runs, detected=detected, degraded=degraded)
            for detected in (False, True)
            for degraded in (False, True)
        }

    @staticmethod
    def _cut(
        blank: bytearray, offsets: Mapping[str, int], runs: Sequence[tuple[int, int]], *, detected: bool, degraded: bool
    ) -> list[bytes]:
        """What is always the same, and a place after each but the last piece of it for a run of floats."""
        body = bytearray(blank)
        if "face_detected" in offsets:
            body[offsets["face_detected"]] = detected
        body[offsets["degraded"]] = degraded
        parts, at = [], 0
        for start, stop in runs:
            parts += [bytes(body[at:start]), b""]
            at = stop
        return [*parts, bytes(body[at:])]

    def filled(self, features: Features) -> list[bytes]:
        """Up to the first field of variable size, in pieces."""
        parts = self._parts[features.detected, features.degraded].copy()
        parts[1::2] = self._runs.unpack_from(features.payload, self._start)
        return parts


class FeatureWriter:
    """Writes values of the topic ``signals``, byte for byte what ``Codec.encode`` of the same record gives."""

    def __init__(self, codec: Codec) -> None:
        self._prefix = codec.prefix(Signal)
        self._face = _Body(codec, "FaceSignal", _FACE)
        self._speech = _Body(codec, "SpeechSignal", _SPEECH)

    def write(  # noqa: PLR0917 - by position it is called a third cheaper
        self,
        features: Features,
        session_id: str,
        sequence: int,
        captured_us: int,
        received_us: int,
        inferred_us: int,
        ingested_us: int,
    ) -> bytes:
        """The signal. No worker stands in between: it is consumed when it is ingested."""
        captured, received, inferred, ingested = captured_us << 1, received_us << 1, inferred_us << 1, ingested_us << 1
        ingested_low, ingested_high = _LOW[ingested & _LOW_MASK], _high(ingested >> _LOW_BITS)
        head = (
            self._prefix,
            _LOW[captured & _LOW_MASK], _high(captured >> _LOW_BITS),
            _LOW[received & _LOW_MASK], _high(received >> _LOW_BITS),
            ingested_low, ingested_high, ingested_low, ingested_high,
            _LOW[inferred & _LOW_MASK], _high(inferred >> _LOW_BITS),
        )  # fmt: skip
        tail = (_long(sequence), _text(session_id), _source(features.engine))
        if features.modality is Modality.FACE:
            faces = _long(features.face_count)
            track = b"\x01" if features.track_id < 0 else _long(features.track_id)  # of those below 0 only -1 is taken
            return b"".join((*head, *self._face.filled(features), faces, track, *tail))
        return b"".join((*head, *self._speech.filled(features), *tail))


_LOW_BITS: Final = 14
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_SHORT: Final = tuple(varint(value) for value in range(1 << _LOW_BITS - 1))
_LOW: Final = tuple(bytes((bits & 0x7F | 0x80, bits >> 7 | 0x80)) for bits in range(1 << _LOW_BITS))


def _long(value: int) -> bytes:
    """As :func:`schemas.varints.varint`, for numbers that rise."""
    if value < len(_SHORT):
        return _SHORT[value]
    raw = value << 1
    return _LOW[raw & _LOW_MASK] + _high(raw >> _LOW_BITS)


@lru_cache(maxsize=4_096)
def _high(raw: int) -> bytes:
    """What follows the low bits in a varint; all instants of the same 8 ms have it in common. ``raw`` is not 0."""
    out = bytearray()
    while raw >= 0x80:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    out.append(raw)
    return bytes(out)


@lru_cache(maxsize=4_096)
def _text(text: str) -> bytes:
    encoded = text.encode()
    return varint(len(encoded)) + encoded


@lru_cache(maxsize=MAX_ENGINES)
def _source(engine: bytes) -> bytes:
    return _text("client:" + engine.decode())


assert _FACE.count == FACE_FLOATS
assert _SPEECH.count == SPEECH_FLOATS
