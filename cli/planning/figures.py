"""The figures that plans multiply, each with where it comes from: ``figures.yaml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
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


class Load(_Strict):
    """So many sessions, and what they took of the cores, by role and of Kafka, above what idles."""

    sessions: int = Field(gt=0)
    cores: Mapping[str, float]


class Cost(_Strict):
    """What sessions take, by role and of Kafka."""

    source: str
    cores: Mapping[str, float]
    """CPU-seconds a second of one session among many."""
    loads: list[Load] = []
    """Of growing size, one process of each role: among few a session costs more."""
    idle: Mapping[str, float] = {}
    """Cores that are taken without a session."""

    def used(self, role: str, sessions: float) -> float:
        """Cores that so many sessions take, above what idles.

        Between the loads that were measured it goes straight, beyond the largest in proportion: there processes are
        full, or larger batches cost a session no more.
        """
        among_many = self.cores[role]
        if not self.loads or among_many == 0 or sessions >= self.loads[-1].sessions:
            return among_many * sessions
        sizes = [0, *(load.sessions for load in self.loads)]
        cores = [0.0, *(load.cores.get(role, 0.0) for load in self.loads)]
        return float(np.interp(sessions, sizes, cores))


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
        kind: Cost(
            source=source,
            cores=_rounded(cores),
            loads=[
                Load(sessions=load["sessions"], cores=_rounded(load["cores"])) for load in measured["above_idle"][kind]
            ],
            idle=_rounded(measured["idle_cores"]),
        )
        for kind, cores in measured["cpu_s_a_session_second"].items()
    }
    volumes = {
        kind: Volume(source=source, bytes={topic: round(value) + 0.0 for topic, value in sizes.items()})
        for kind, sizes in measured["bytes_a_session_second"].items()
    }
    return figures.model_copy(update={"cost": {**figures.cost, **costs}, "volume": {**figures.volume, **volumes}})


def _rounded(cores: Mapping[str, float]) -> dict[str, float]:
    return {role: round(value, 6) for role, value in cores.items()}


def write_figures(figures: Figures, path: Path) -> None:
    """Write the file anew."""
    text = yaml.safe_dump(figures.model_dump(), sort_keys=False, width=110, allow_unicode=True)
    path.write_text(HEADER + text, encoding="utf-8")
