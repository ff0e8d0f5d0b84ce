"""Errors as problem+json."""

import math

import pytest
from pydantic import BaseModel, ValidationError

from runtime.problems import Problem, faults_of


class Body(BaseModel):
    values: list[int]


def test_faults_say_where_and_what_but_not_what_was_sent():
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"values": [1, "secret", math.inf]})
    said = faults_of(caught.value.errors())
    assert said.startswith("values.1: ")
    assert "values.2: " in said
    assert "secret" not in said
    Problem(422, "invalid_request", "No", said).response("/")


def test_a_thousand_faults_are_not_a_long_answer():
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"values": ["x"] * 1_000})
    said = faults_of(caught.value.errors())
    assert said.endswith("; and 990 more")
    assert len(said) < 2_100
