"""The keys that sign tokens."""

import pytest

from runtime.token_keys import parse_keys, rotated

A, B, C = "a" * 32, "b" * 40, "c" * 64


def test_one_key_is_the_usual_case():
    (key,) = parse_keys(A)
    assert (key.secret, key.until_s) == (A, None)
    assert A not in repr(key)
    assert key.kid not in A


def test_several_keys_keep_their_order_and_their_ends():
    keys = parse_keys(f"{A}, {B}@2026-12-31T12:00:00Z,{C}@2026-12-31")
    assert [key.secret for key in keys] == [A, B, C]
    assert [key.until_s for key in keys] == [None, 1_798_718_400, 1_798_675_200]
    assert len({key.kid for key in keys}) == 3


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "key 1 has 0"),
        ("short", "key 1 has 5"),
        (f"{A},short", "key 2 has 5"),
        (f"{A},", "key 2 has 0"),
        (f"{A},{B}@tomorrow", "key 2: what stands after @"),
        (f"{A}@2026-12-31", "cannot have an end"),
        (f"{A},{A}", "twice"),
    ],
)
def test_what_cannot_be_used_is_named_but_not_shown(text, said):
    with pytest.raises(ValueError, match=said) as caught:
        parse_keys(text)
    assert A not in str(caught.value)


def test_a_rotation_puts_the_new_key_in_front_and_ends_the_one_before():
    once = rotated(A, B, until_s=1_798_718_400, now_s=1_700_000_000)
    assert once == f"{B},{A}@2026-12-31T12:00:00Z"
    twice = rotated(once, C, until_s=1_900_000_000, now_s=1_800_000_000)
    assert twice == f"{C},{B}@2030-03-17T17:46:40Z"
    assert rotated(f"{A},{B}", C, until_s=1_900_000_000, now_s=0).endswith(f",{B}")
