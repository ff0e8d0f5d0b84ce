import pytest

from analytics.retention import POLICY, parse_policy
from runtime.errors import SettingsError


def test_a_policy_changes_the_tables_that_it_names() -> None:
    assert parse_policy("") == dict(POLICY)
    assert parse_policy(" avatar_frames=30, ledger = 7 ,") == {**POLICY, "avatar_frames": 30, "ledger": 7}


@pytest.mark.parametrize(
    "text,reason",
    [
        ("frames=30", "no table 'frames'; known: sessions"),
        ("ledger", "is not TABLE=DAYS"),
        ("ledger=0", "1 to 36500 days"),
        ("ledger=-5", "is not TABLE=DAYS"),
        ("ledger=1e3", "is not TABLE=DAYS"),
        ("ledger=99999999999", "1 to 36500 days"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parse_policy(text)
