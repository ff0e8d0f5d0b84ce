"""infra/compose.yaml as Docker Compose reads it, as far as it goes: files laid over each other, variables filled in."""

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from tests.support.prerequisites import REPOSITORY

INFRA: Final = REPOSITORY / "infra"
APPENDED: Final = frozenset({"volumes", "ports"})
"""Lists of a service to which a further file adds; its command, entry point and health check it replaces."""
VARIABLE: Final = re.compile(r"\$(?:(\$)|\{([A-Z_]+)(?:(:[-?])([^}]*))?\})")


def read(name: str = "compose.yaml") -> dict[str, Any]:
    """One file, YAML's own merges resolved."""
    found: dict[str, Any] = yaml.safe_load((INFRA / name).read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if not key.startswith("x-")}


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """What comes of ``-f below -f above``: mappings are merged, a few lists added to, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = laid_over(before, value)
        elif key in APPENDED and isinstance(before, list):
            merged[key] = [*before, *value]
        else:
            merged[key] = value
    return merged


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """With every ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?error}`` replaced; KeyError if one must be set."""
    if isinstance(value, dict):
        return {key: filled_in(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, variables) for each in value]
    return VARIABLE.sub(lambda found: _filled(found, variables), value) if isinstance(value, str) else value


def _filled(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    dollar, name, kind, rest = found.groups()
    if dollar:
        return "$"
    given = variables.get(name)
    if kind == ":?" and not given:
        raise KeyError(f"{name}: {rest}")
    return given or (rest if kind == ":-" else "")
