"""Comparing the frames of two recordings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from analytics.recordings.container import RecordingError
from analytics.recordings.frames import CHANNELS, UNITS, Floats, FrameDecoder, Frames, Key, plain

PRESENCE: Final = "presence"
"""Not a channel of a frame: whether the frame is there at all."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far channels may differ: the first pattern (``*`` as in file names) that fits a channel counts; else 0."""

    rules: Sequence[tuple[str, float]] = ()

    def of(self, channel: str) -> float:
        """The largest difference that is let pass, in the channel's unit; infinite: whatever."""
        return next((most for pattern, most in self.rules if fnmatchcase(channel, pattern)), 0.0)

    @classmethod
    def read(cls, path: Path) -> "Tolerances":
        """From YAML, ``channels: {pattern: number or "any"}``; RecordingError says what is wrong with it."""
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RecordingError(f"{path} cannot be read: {error}") from error
        channels = raw.get("channels") if isinstance(raw, dict) and set(raw) <= {"channels"} else None
        if not isinstance(channels, dict):
            raise RecordingError(f"{path}: one key, channels, was expected, with patterns and numbers below it")
        rules = []
        for pattern, most in channels.items():
            if most == "any":
                rules.append((str(pattern), float("inf")))
            elif isinstance(most, int | float) and not isinstance(most, bool) and 0 <= most < float("inf"):
                rules.append((str(pattern), float(most)))
            else:
                raise RecordingError(f"{path}: {pattern}: a number from 0 on, or any, was expected, not {most!r}")
            if not any(fnmatchcase(channel, str(pattern)) for channel in CHANNELS):
                raise RecordingError(f"{path}: no channel fits the pattern {pattern!r}")
        return cls(rules)


EXACT: Final = Tolerances()


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where two recordings part."""

    session: str
    sequence: int
    channel: str
    a: Any
    b: Any
    """Values in the channel's unit; of ``presence``, whether the frame is there."""

    def __str__(self) -> str:
        if self.channel == PRESENCE:
            return f"session {self.session}, frame {self.sequence}: {'only in A' if self.a else 'only in B'}"
        unit = UNITS.get(self.channel, "")
        return f"session {self.session}, frame {self.sequence}, {self.channel}: {self.a} and {self.b} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class ChannelError:
    """How far one channel differs over all frames that both have."""

    largest: float
    frames: int
    """How many frames differ by more than is tolerated."""
    at: Key
    """Where the largest difference is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What sets two recordings apart."""

    identical: bool
    """Byte for byte."""
    tolerated: bool
    """Every difference lies within its tolerance."""
    compared: int
    only_in_a: int
    only_in_b: int
    first: Divergence | None = None
    """The first that is not tolerated."""
    channels: Mapping[str, ChannelError] = field(default_factory=dict)
    """Channels that differ at all."""

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        if self.identical:
            return {"identical": True, "frames": self.compared}
        return {
            "identical": False,
            "tolerated": self.tolerated,
            "frames": self.compared,
            "only_in_a": self.only_in_a,
            "only_in_b": self.only_in_b,
            "first": None if self.first is None else asdict(self.first),
            "channels": {
                name: {"largest": plain(error.largest), "frames": error.frames, "unit": UNITS.get(name, "")}
                for name, error in self.channels.items()
            },
        }


def compare(a: Frames, b: Frames, tolerances: Tolerances = EXACT) -> Difference:
    """Compare every frame and channel; frames are looked at in order of time, then of session.

    Raises RecordingError if a frame cannot be read.
    """
    shared = sorted(a.values.keys() & b.values.keys())
    only_a, only_b = a.values.keys() - b.values.keys(), b.values.keys() - a.values.keys()
    unlike = [key for key in shared if a.values[key] != b.values[key]]
    if not unlike and not only_a and not only_b:
        return Difference(True, True, len(shared), 0, 0)
    decoder = FrameDecoder()
    left = decoder.channels([a.values[key] for key in unlike])
    right = decoder.channels([b.values[key] for key in unlike])
    errors = _errors(left, right)
    limits = np.array([tolerances.of(channel) for channel in CHANNELS])
    beyond = errors > limits
    channels: dict[str, ChannelError] = {}
    for column in np.flatnonzero((errors > 0).any(axis=0)).tolist():
        row = int(errors[:, column].argmax())
        channels[CHANNELS[column]] = ChannelError(float(errors[row, column]), int(beyond[:, column].sum()), unlike[row])
    found: list[tuple[float, Key, Divergence]] = []
    for row in np.flatnonzero(beyond.any(axis=1)).tolist():
        column = int(beyond[row].argmax())
        key = unlike[row]
        values = plain(left[row, column]), plain(right[row, column])
        found.append((float(left[row, 0]), key, Divergence(*key, CHANNELS[column], *values)))
    for keys, frames, there in ((only_a, a, (True, False)), (only_b, b, (False, True))):
        ordered = sorted(keys)
        instants = decoder.channels([frames.values[key] for key in ordered])[:, 0]
        found += [
            (float(at), key, Divergence(*key, PRESENCE, *there)) for at, key in zip(instants, ordered, strict=True)
        ]
    first = min(found, key=lambda each: each[:2])[2] if found else None
    return Difference(False, first is None, len(shared), len(only_a), len(only_b), first, channels)


def _errors(left: Floats, right: Floats) -> Floats:
    """Absolute differences; where only one is none (NaN), infinite; where both are, 0."""
    none_left, none_right = np.isnan(left), np.isnan(right)
    errors = np.abs(left - right)
    errors[none_left & none_right] = 0.0
    errors[none_left ^ none_right] = np.inf
    return errors
