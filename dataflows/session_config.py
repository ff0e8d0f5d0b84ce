"""What a session asks fusion for when it starts, checked: parameters and a calibration."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from dataflows import layout
from schemas.fusion_config import PARAMETERS, FusionConfig
from schemas.records import SessionStarted

CONFIGURATIONS: Final = 256
"""That are remembered as checked: most sessions have one of a few."""


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
