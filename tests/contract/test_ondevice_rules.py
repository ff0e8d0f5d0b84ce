"""The page's on-device rules are the workers': its tables and golden values are what the Python engines say now."""

import json
from typing import Any

import pytest

from tests.support import ondevice_rules


def same(found: Any, wanted: Any, place: str = "") -> None:
    if isinstance(wanted, float | int) and not isinstance(wanted, bool):
        assert found == pytest.approx(wanted, abs=1e-7), place
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), place
        for name, value in wanted.items():
            same(found[name], value, f"{place}.{name}")
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), place
        for index, value in enumerate(wanted):
            same(found[index], value, f"{place}[{index}]")
    else:
        assert found == wanted, place


def test_the_pages_tables_are_the_engines():
    same(json.loads(ondevice_rules.RULES.read_text(encoding="utf-8")), ondevice_rules.rules())


def test_the_golden_values_are_what_the_engines_answer():
    same(json.loads(ondevice_rules.GOLDEN.read_text(encoding="utf-8")), ondevice_rules.golden())
