"""Fusion parameters of a deployment, read from one line."""

import pytest

from runtime.errors import SettingsError
from runtime.fusion_defaults import parse_parameters
from runtime.settings import Settings


def test_what_is_named_is_read_and_nothing_else():
    assert parse_parameters("max_wait_ms=50, tau_face_ms = 30.5,") == {"max_wait_ms": 50.0, "tau_face_ms": 30.5}
    assert parse_parameters("") == {}


@pytest.mark.parametrize(
    "text,said",
    [
        ("max_wait_ms", "not NAME=VALUE"),
        ("max_wait_ms=soon", "no number"),
        ("max_wait_ms=nan", "outside"),
        ("max_wait_ms=5000", "outside"),
        ("patience=1", "unknown fusion parameter 'patience'"),
        ("mouth_on=0.2", "exceeds mouth_on"),
    ],
)
def test_what_no_session_could_ask_for_is_refused_when_settings_are_read(text, said):
    with pytest.raises(SettingsError, match=said):
        Settings.from_env({"AFFECTSTREAM_FUSION_PARAMETERS": text})
