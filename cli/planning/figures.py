"""The figures that plans multiply, each with where it comes from: ``figures.yaml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import SettingsError

FILE: Final = Path(__file__).parent / "figures.yaml"
HEADER: Final = """\
# What one session costs, and what is assumed of machines. `affectstream plan` multiplies these and nothing else.
# `affectstream bench cost --save cli/planning/figures.yaml` measures the first two groups anew; the rest is kept.
"""

Kind = Literal["features", "media"]
"""``features``: analysed on the client's device. ``media``: camera and microphone, analysed by the workers."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Cost(_Strict):
    """CPU-seconds a session and second, by role and of Kafka."""

    source: str
    cores: Mapping[str, float]


class Volume(_Strict):
    """Bytes a session and second, by topic."""

    source: str
    bytes: Mapping[str, float]


class Figure(_Strict):
    """One number. ``source`` says how it was measured, or begins with ``assumed``."""

    value: float = Field(gt=0)
    source: str


class Figures(_Strict):
    """Everything that a plan is made from."""

    cost: Mapping[Kind, Cost]
    volume: Mapping[Kind, Volume]
    limits: Mapping[str, Figure]
    recovery: Mapping[str, Figure]

    def limit(self, name: str) -> float:
        """The value of a limit; KeyError for a name that is not there."""
        return self.limits[name].value


def read_figures(path: Path = FILE) -> Figures:
    """The figures of a file; raises SettingsError that says what is wrong with it."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Figures.model_validate(raw)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from error


def renewed(figures: Figures, measured: Mapping[str, Any]) -> Figures:
    """The figures with costs and volumes from the JSON of ``affectstream bench cost``."""
    source = f"affectstream bench cost, {measured['machine']}, {str(measured['at'])[:10]}"
    costs = {
        kind: Cost(source=source, cores={role: round(value, 6) for role, value in cores.items()})
        for kind, cores in measured["cpu_s_a_session_second"].items()
    }
    volumes = {
        kind: Volume(source=source, bytes={topic: round(value) + 0.0 for topic, value in sizes.items()})
        for kind, sizes in measured["bytes_a_session_second"].items()
    }
    return figures.model_copy(update={"cost": {**figures.cost, **costs}, "volume": {**figures.volume, **volumes}})


def write_figures(figures: Figures, path: Path) -> None:
    """Write the file anew."""
    text = yaml.safe_dump(figures.model_dump(), sort_keys=False, width=110, allow_unicode=True)
    path.write_text(HEADER + text, encoding="utf-8")
