"""Groups of partitions as people write them."""

import pytest

from cli.partitions import parse_partitions, require_partitions_for
from runtime.errors import SettingsError


@pytest.mark.parametrize(
    "text, partitions",
    [("0-5", (0, 1, 2, 3, 4, 5)), ("3", (3,)), ("7-7", (7,)), ("4,0-1", (0, 1, 4)), (" 0 - 1 , 3 ", (0, 1, 3))],
)
def test_ranges_and_lists(text: str, partitions: tuple[int, ...]) -> None:
    assert parse_partitions(text) == partitions


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "'' is neither a number nor a range such as 0-5"),
        ("0-", "'0-' is neither"),
        ("a-b", "'a-b' is neither"),
        ("1,,2", "'' is neither"),
        ("-1", "'-1' is neither"),
        ("0..5", "'0..5' is neither"),
        ("123456", "'123456' is neither"),
        ("5-2", "5-2 counts down; write 2-5"),
        ("0-3,2", "named twice: 2"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match="--partitions") as error:
        parse_partitions(text)
    assert complaint in str(error.value)


def test_only_fusion_is_given_partitions() -> None:
    require_partitions_for("fusion", (0,))
    require_partitions_for("egress", None)
    with pytest.raises(SettingsError, match="egress gets its share"):
        require_partitions_for("egress", (0,))
