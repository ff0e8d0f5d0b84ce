"""The table of sessions answers as a dictionary would."""

from random import Random

import numpy as np
import pytest

from dataflows.roster import NAME_BYTES, Names, Roster


def found(roster: Roster, names: list[bytes]) -> list[int]:
    rows = np.full(len(names), -7, np.int64)
    roster.find(Names.of(names), 0, len(names), rows)
    return rows.tolist()


def test_knows_nobody_at_first() -> None:
    assert found(Roster(4), [b"a", b"", b"b" * 100]) == [-1, -1, -1]


def test_answers_for_a_part_of_a_batch() -> None:
    roster = Roster(4)
    roster.add(b"a", 3)
    rows = np.full(4, -7, np.int64)
    roster.find(Names.of([b"a", b"a", b"x", b"a"]), 1, 3, rows)
    assert rows.tolist() == [-7, 3, -1, -7]


def test_the_longest_name_in_the_table_and_the_first_beyond() -> None:
    roster = Roster(4)
    names = [b"n" * (NAME_BYTES - 1), b"n" * NAME_BYTES, b"n" * (NAME_BYTES + 1), b""]
    for row, name in enumerate(names):
        roster.add(name, row)
    assert found(roster, names) == [0, 1, 2, 3]
    roster.remove(names[2])
    assert found(roster, names) == [0, 1, -1, 3]


@pytest.mark.parametrize("seed", range(6))
def test_is_a_dictionary_through_comings_and_goings(seed: int) -> None:
    rng = Random(seed)
    capacity, roster, expected = 16, Roster(16), dict[bytes, int]()
    # Few letters: names that are each other's beginnings, and a table so full that they displace each other.
    everyone = sorted({bytes(rng.choices(b"ab", k=rng.randrange(40))) for _ in range(300)})
    for _ in range(3_000):
        name = rng.choice(everyone)
        if name in expected:
            del expected[name]
            roster.remove(name)
        elif len(expected) < capacity:
            row = rng.choice(sorted(set(range(capacity)) - set(expected.values())))
            expected[name] = row
            roster.add(name, row)
        elif rng.random() < 0.02:
            capacity *= 2
            roster.resize(capacity)
        if rng.random() < 0.1:
            assert found(roster, everyone) == [expected.get(each, -1) for each in everyone]
    assert found(roster, everyone) == [expected.get(each, -1) for each in everyone]
    assert (len(roster), dict(roster.items()), roster.rows()) == (len(expected), expected, sorted(expected.values()))
    assert [roster.get(each) for each in everyone] == [expected.get(each) for each in everyone]
