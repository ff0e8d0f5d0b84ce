"""What runs together on one machine."""

import pytest

from cli.profiles import EDGE, WHOLE
from cli.roles import RoleName
from runtime.fusion_defaults import parse_parameters
from runtime.retention import parse_topic_policy
from runtime.settings import Settings
from schemas.fusion_config import PARAMETERS


def test_the_whole_product_is_every_role_with_the_settings_own_defaults():
    settings = Settings.from_env({})
    assert set(WHOLE.roles) == set(RoleName)
    assert WHOLE.applied(settings) == settings
    assert not WHOLE.forgets


def test_a_small_box_runs_all_but_analytics():
    assert set(RoleName) - set(EDGE.roles) == {RoleName.ANALYTICS}


def test_its_defaults_are_settings_that_can_be_used():
    applied = EDGE.applied(Settings.from_env({}))
    assert Settings.from_env(applied.to_env()).model_dump() == applied.model_dump()
    assert applied.partitions == 1
    assert set(EDGE.defaults) <= set(Settings.model_fields)


def test_what_the_environment_says_goes_before_them():
    given = Settings.from_env({"AFFECTSTREAM_PARTITIONS": "3", "AFFECTSTREAM_KAFKA_LINGER_MS": "1"})
    applied = EDGE.applied(given)
    assert (applied.partitions, applied.kafka_linger_ms) == (3, 1.0)
    assert applied.fusion_parameters == EDGE.defaults["fusion_parameters"]


def test_it_keeps_minutes_and_waits_less():
    kept = parse_topic_policy(str(EDGE.defaults["retention_hours"]))
    usual = parse_topic_policy("")
    assert all(kept[topic] < usual[topic] for topic in kept)
    assert max(kept[topic] for topic in ("media.audio", "media.video", "signals", "avatar.frames")) <= 15 * 60_000
    for name, value in parse_parameters(str(EDGE.defaults["fusion_parameters"])).items():
        assert value < PARAMETERS[name].default


@pytest.mark.parametrize(
    "environ,is_open",
    [
        ({}, True),
        ({"AFFECTSTREAM_HOST": "localhost"}, True),
        ({"AFFECTSTREAM_HOST": "0.0.0.0"}, False),
        ({"AFFECTSTREAM_HOST": "box.local"}, False),
        ({"AFFECTSTREAM_HOST": "0.0.0.0", "AFFECTSTREAM_OPEN_SESSIONS": "true"}, True),
    ],
)
def test_a_box_that_others_reach_lets_nobody_start_sessions_unless_told_to(environ, is_open):
    assert EDGE.is_open(Settings.from_env(environ)) is is_open
    assert WHOLE.is_open(Settings.from_env(environ))
