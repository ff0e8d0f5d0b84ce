"""Fusion configuration."""

import hashlib
import math

import pytest

from schemas.fusion_config import PARAMETERS, VERSION, ConfigError, FusionConfig
from tests.support.parameter_table import PAGE, with_table


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


def test_another_set_of_parameters_is_another_version():
    """Sessions are told apart by the version that is recorded with them: count VERSION up when this fails."""
    names_and_defaults = [(name, p.default) for name, p in PARAMETERS.items()]
    digest = hashlib.sha256(repr(names_and_defaults).encode()).hexdigest()[:16]
    assert (VERSION, digest) == ("4", "5f7608c4f3d4d3a4")
    assert FusionConfig.of().version == FusionConfig().version == VERSION


def test_what_a_session_does_not_say_is_what_it_was_fused_by():
    assert PARAMETERS["calibration_seconds"].unrecorded == 0.0
    assert PARAMETERS["max_wait_ms"].unrecorded == PARAMETERS["max_wait_ms"].default
    assert all(p.minimum <= p.unrecorded <= p.maximum for p in PARAMETERS.values())


def test_the_documentation_has_them_all():
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run `python -m tests.support.parameter_table`"
