import pytest

from analytics.errors import NotFusible
from analytics.refusion import Variant
from schemas.fusion_config import FusionConfig

RECORDED = FusionConfig("1", "direct_au", "ema", {"tau_face_ms": 40.0})
"""Of a session older than most parameters."""


def test_nothing_said_is_as_it_was():
    assert Variant().of(RECORDED) == RECORDED


def test_what_is_said_differs_and_nothing_else():
    changed = Variant("blend", "spring", (("au12_gain", 1.5),)).of(RECORDED)
    assert (changed.mapping, changed.smoothing, changed.version) == ("blend", "spring", "1")
    # A parameter that is younger than the session stays unrecorded: it is fused by what was before it.
    assert changed.parameters == {"tau_face_ms": 40.0, "au12_gain": 1.5}


@pytest.mark.parametrize(
    "parameters, complaint",
    [
        ((("nonsense", 1.0),), "unknown fusion parameter 'nonsense'"),
        ((("au12_gain", 1e9),), "au12_gain = 1000000000.0 is outside"),
        ((("mouth_off", 0.9), ("mouth_on", 0.1)), "mouth_off"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(parameters, complaint):
    with pytest.raises(NotFusible, match=complaint):
        Variant(parameters=parameters).of(RECORDED)
