"""How long topics keep records."""

import pytest

from runtime.errors import SettingsError
from runtime.retention import parse_topic_policy, topic_config


def test_the_defaults_are_those_of_the_topics():
    policy = parse_topic_policy("")
    assert policy["media.audio"] == 600_000
    assert policy["signals"] == 7 * 86_400_000


def test_a_topic_is_changed_by_hours():
    policy = parse_topic_policy("signals=48, media.video=0.05")
    assert (policy["signals"], policy["media.video"], policy["ledger"]) == (172_800_000, 180_000, 604_800_000)
    assert topic_config(180_000) == {"retention.ms": "180000", "segment.ms": "36000"}


@pytest.mark.parametrize("text", ["signal=1", "signals", "signals=", "signals=0", "signals=-1", "signals=nan", "=3"])
def test_what_cannot_be_is_refused_with_the_reason(text):
    with pytest.raises(SettingsError, match="retention_hours"):
        parse_topic_policy(text)
