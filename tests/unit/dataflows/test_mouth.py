import numpy as np
import pytest

from dataflows import mouth
from dataflows.layout import ROW
from schemas.fusion_config import PARAMETERS


@pytest.fixture
def row() -> np.void:
    row = np.zeros(1, ROW)[0]
    row["config"] = [p.default for p in PARAMETERS.values()]
    return row


def test_the_owner_changes_with_hysteresis(row: np.void) -> None:
    owners = []
    for speaking in (0.6, 0.7, 0.71, 0.6, 0.5, 0.49, 0.6):
        mouth.update_owner(row, speaking)
        owners.append(int(row["viseme_mouth"]))
    assert owners == [0, 0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("fade_ms, ticks", [(30.0, 1), (45.0, 2), (60.0, 2)])
def test_the_cross_fade_takes_its_time_and_no_longer(row: np.void, fade_ms: float, ticks: int) -> None:
    row["config"][list(PARAMETERS).index("mouth_crossfade_ms")] = fade_ms
    for owner, start, end in ((1, 0.0, 1.0), (0, 1.0, 0.0)):
        row["viseme_mouth"], row["mouth_share"] = owner, start
        taken = 0
        while row["mouth_share"] != end:
            mouth.cross_fade(row, 33_333)
            taken += 1
        assert taken == ticks


def test_after_a_gap_nothing_fades(row: np.void) -> None:
    row["viseme_mouth"] = 1
    mouth.settle(row)
    assert row["mouth_share"] == 1.0
