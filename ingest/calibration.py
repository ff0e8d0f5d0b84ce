"""A client's calibration, by Action Unit, as the record that the log holds. Pure."""

from collections.abc import Mapping
from typing import Final

from schemas.records import Calibration
from schemas.vocabulary import AUS

MOST_GAIN: Final = 10.0


class CalibrationError(ValueError):
    """A calibration that cannot be used; the message says which Action Unit, its value and the range."""


def calibration_of(au_neutral: Mapping[str, float], au_gain: Mapping[str, float]) -> Calibration:
    """Both by AU, for instance ``{"AU12": 0.1}``; those left out have a neutral intensity of 0.

    A gain that is left out is such that an intensity of 1 stays 1: 1/(1 - neutral), at most 10. Raises
    CalibrationError on an unknown name, a neutral intensity outside [0, 1] or a gain outside [0, 10].
    """
    _check("au_neutral", au_neutral, 1.0)
    _check("au_gain", au_gain, MOST_GAIN)
    neutral = tuple(float(au_neutral.get(au, 0.0)) for au in AUS)
    gain = tuple(
        float(au_gain[au]) if au in au_gain else 1.0 / max(1.0 - resting, 1.0 / MOST_GAIN)
        for au, resting in zip(AUS, neutral, strict=True)
    )
    return Calibration(neutral, gain)


def _check(field: str, values: Mapping[str, float], most: float) -> None:
    for name, value in values.items():
        if name not in AUS:
            # What was sent may be anything: only what is known is said back.
            raise CalibrationError(f"{field} has an unknown Action Unit; known: {', '.join(AUS)}")
        if not 0.0 <= value <= most:
            raise CalibrationError(f"{field}.{name} = {value:g} is outside [0, {most:g}]")
