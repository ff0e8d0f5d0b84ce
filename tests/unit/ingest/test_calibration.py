import math

import pytest

from ingest.calibration import CalibrationError, calibration_of
from schemas.vocabulary import AUS


def test_what_is_left_out_is_neither_shifted_nor_scaled():
    found = calibration_of({}, {})
    assert found.au_neutral == (0.0,) * len(AUS)
    assert found.au_gain == (1.0,) * len(AUS)


def test_a_gain_that_is_left_out_lets_one_stay_one():
    found = calibration_of({"AU04": 0.2, "AU07": 1.0, "AU12": 0.5}, {"AU12": 1.0, "AU01": 3.0})
    gain = dict(zip(AUS, found.au_gain, strict=True))
    assert (gain["AU04"], gain["AU07"], gain["AU12"], gain["AU01"]) == pytest.approx((1.25, 10.0, 1.0, 3.0))
    assert found.au_neutral[AUS.index("AU04")] == 0.2


@pytest.mark.parametrize(
    "neutral, gain, said",
    [
        ({"AU99": 0.1}, {}, "au_neutral has an unknown Action Unit; known: AU01, AU02"),
        ({}, {"smile": 1.0}, "au_gain has an unknown Action Unit"),
        ({"AU12": 1.1}, {}, r"au_neutral.AU12 = 1.1 is outside \[0, 1\]"),
        ({"AU12": -0.1}, {}, "au_neutral.AU12 = -0.1 is outside"),
        ({"AU12": math.nan}, {}, "au_neutral.AU12 = nan is outside"),
        ({}, {"AU12": math.inf}, r"au_gain.AU12 = inf is outside \[0, 10\]"),
    ],
)
def test_what_cannot_be_used_is_named(neutral, gain, said):
    with pytest.raises(CalibrationError, match=said):
        calibration_of(neutral, gain)
