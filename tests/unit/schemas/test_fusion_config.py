"""Fusion configuration."""

import math

import pytest

from schemas.fusion_config import PARAMETERS, ConfigError, FusionConfig


def test_defaults_are_complete_and_within_their_ranges():
    config = FusionConfig.of()
    assert config == FusionConfig()
    assert set(config.parameters) == set(PARAMETERS)
    for name, parameter in PARAMETERS.items():
        assert parameter.minimum <= config.parameters[name] <= parameter.maximum


def test_overrides():
    config = FusionConfig.of({"max_wait_ms": 80}, mapping="direct_au", smoothing="ema", version="2")
    assert config.parameters["max_wait_ms"] == 80.0
    assert (config.mapping, config.smoothing, config.version) == ("direct_au", "ema", "2")


@pytest.mark.parametrize(
    "overrides,said",
    [
        ({"max_wait": 80}, "unknown fusion parameter 'max_wait'"),
        ({"max_wait_ms": -1}, "max_wait_ms = -1 is outside"),
        ({"max_wait_ms": math.nan}, "max_wait_ms = nan is outside"),
        ({"au12_gain": math.inf}, "au12_gain = inf is outside"),
        ({"mouth_on": 0.3}, "exceeds mouth_on"),
    ],
)
def test_what_cannot_be_used_is_named(overrides, said):
    with pytest.raises(ConfigError, match=said):
        FusionConfig.of(overrides)
