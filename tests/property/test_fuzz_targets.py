"""The targets of ``make fuzz`` with few inputs, always the same ones: good examples, and hostile relatives of them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target, mutated

RELATIVES = 300


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_good_examples_and_their_hostile_relatives(target: Target) -> None:
    rng = random.Random(8)
    seeds = target.seeds()
    assert seeds
    for seed in seeds:
        target.read(seed)
    for _ in range(RELATIVES):
        target.read(mutated(rng.choice(seeds), rng, target.longest))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@settings(max_examples=60, derandomize=True)
@given(data=st.binary(max_size=256))
def test_any_bytes(target: Target, data: bytes) -> None:
    target.read(data)
