"""Avatar frames as channels: every number of a frame by name, in its unit."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.recordings.container import Entry, RecordingError
from schemas.bulk import derive_layout
from schemas.codec import Codec, DecodeError
from schemas.records import AvatarFrame
from schemas.varints import read_instants
from schemas.vocabulary import AFFECT, ANGLES, AUS, BLENDSHAPES, EMOTIONS, LEVELS, SIGNAL_HOPS, VISEMES

Floats = npt.NDArray[np.float64]
Key = tuple[str, int]
"""Session and sequence."""

FLAGS: Final = ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait", "mapping")

GROUPS: Final[Mapping[str, tuple[tuple[str, ...], str, float, str]]] = {
    "face_hops_ms": (SIGNAL_HOPS, "<f4", 1.0, "ms"),
    "speech_hops_ms": (SIGNAL_HOPS, "<f4", 1.0, "ms"),
    "emotions": (EMOTIONS, "u1", 1 / 255, ""),
    "affect": (AFFECT, "<i2", 1e-4, ""),
    "levels": (LEVELS, "u1", 1 / 255, ""),
    "aus": (AUS, "u1", 1 / 255, ""),
    "angles": (ANGLES, "<i2", 0.01, "deg"),
    "blendshapes": (BLENDSHAPES, "u1", 1 / 255, ""),
    "visemes": (VISEMES, "u1", 1 / 255, ""),
}
"""Field -> names, type on the wire, unit of one step, unit's name."""

CHANNELS: Final = (
    "captured_at_us",
    *(f"{group}.{name}" for group, (names, *_) in GROUPS.items() for name in names),
    *FLAGS,
)
UNITS: Final = {
    "captured_at_us": "µs",
    **{f"{group}.{name}": unit for group, (names, _, _, unit) in GROUPS.items() for name in names},
}
HOPS: Final = ("face_hops_ms.*", "speech_hops_ms.*")
"""Channels that say when the work was done, not what came of it."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a recording, without repetitions, by session and sequence."""

    values: Mapping[Key, bytes]
    repeated: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def sha256(self) -> str:
        """See :func:`frames_sha256`."""
        return frames_sha256(self.values)


def frames_sha256(frames: Mapping[Key, bytes]) -> str:
    """SHA-256 over the frames by session and sequence: the key as a JSON line, then the record's bytes."""
    digest = hashlib.sha256()
    for key in sorted(frames):
        digest.update(json.dumps(key).encode() + b"\n" + frames[key])
    return digest.hexdigest()


class FrameDecoder:
    """Reads frames from bytes to channels."""

    def __init__(self) -> None:
        self._codec = Codec()
        self._layout = derive_layout("AvatarFrame", self._codec.prefix(AvatarFrame))

    def key(self, value: bytes) -> Key:
        """A frame's session and sequence; RecordingError if the value is no frame."""
        frame = self._decoded(value)
        return frame.session_id, frame.sequence

    def collect(self, entries: Iterable[Entry]) -> Frames:
        """The frames of entries; RecordingError if one cannot be read, or stands there again with other bytes."""
        found: dict[Key, bytes] = {}
        repeated = 0
        for entry in entries:
            try:
                key = self.key(entry.value)
            except RecordingError as error:
                raise RecordingError(f"frame at offset {entry.offset} of {entry.session_id}: {error}") from error
            if key in found:
                repeated += 1
                if found[key] != entry.value:
                    raise RecordingError(f"frame {key[1]} of {key[0]} stands in the recording with different bytes")
            found[key] = entry.value
        return Frames(found, repeated)

    def channels(self, values: list[bytes]) -> Floats:
        """(frames, channels) in the order of :data:`CHANNELS`, in units; NaN where a frame has none."""
        size = self._layout.dtype.itemsize
        rows = np.empty((len(values), len(CHANNELS)), np.float64)
        if not values:
            return rows
        heads = b"".join([self._current(value)[:size] for value in values])
        body = np.frombuffer(heads, self._layout.dtype)
        instants, _ = read_instants(np.ascontiguousarray(body["captured_at_us"]))
        rows[:, 0] = instants
        column = 1
        for group, (names, kind, step, _) in GROUPS.items():
            raw = np.ascontiguousarray(body[group])
            table = raw if raw.dtype == np.dtype(kind) else raw.view(kind)
            # Steps are counted first: 255ths are not exact, and equal frames must give equal numbers.
            rows[:, column : column + len(names)] = table.reshape(len(values), len(names)) * step
            column += len(names)
        for name in FLAGS:
            rows[:, column] = body[name] >> 1 if name == "mapping" else body[name]
            column += 1
        return rows

    def _current(self, value: bytes) -> bytes:
        """The value as today's schema writes it."""
        size = self._layout.dtype.itemsize
        raw = np.frombuffer(value[:size], np.uint8)
        if len(raw) == size and (raw[self._layout.marker_at] == self._layout.marker).all():
            return value
        current = self._codec.encode(self._decoded(value))
        raw = np.frombuffer(current[:size], np.uint8)
        if not (raw[self._layout.marker_at] == self._layout.marker).all():
            raise RecordingError("a frame's vectors have other lengths than its schema says")
        return current

    def _decoded(self, value: bytes) -> AvatarFrame:
        try:
            return self._codec.decode(AvatarFrame, value)
        except DecodeError as error:
            raise RecordingError(f"no frame: {error}") from error


def plain(value: float) -> Any:
    """A channel's value for JSON and for people: NaN is none, whole numbers have no point."""
    if np.isnan(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 6)
