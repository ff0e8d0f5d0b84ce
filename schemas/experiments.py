"""Experiments: variants of the fusion's configuration, and which of them a session is given. Pure.

What is drawn is the *unit*: the session's subject if it names one, else the session itself. Each draw is a hash of what
is drawn for, the experiment's name, its salt, and the unit (:func:`position`), so any edge draws the same at any time,
the draws of two experiments are independent, and a new salt is a new draw.

A session takes part in one experiment at most. Those that run are asked by ascending ``priority``, then by name; the
first one takes it for which the session is eligible and whose ``traffic`` admits its unit. Since admission to each is a
draw of its own, what is left for the next ones is a random sample, too.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.fusion_config import ConfigError, FusionConfig, MappingName, SmoothingName
from schemas.records import ExperimentAssignment, Timeline

Status = Literal["draft", "running", "stopped"]
MetricName = Literal[
    "rating",
    "jitter",
    "responsiveness",
    "expressiveness",
    "mouth_speech_agreement",
    "opt_out",
    "duration",
    "sensitive_false_positives",
]
Correction = Literal["holm", "bh", "none"]
"""For many metrics: Holm's, Benjamini and Hochberg's, or none."""
METRICS: Final[tuple[MetricName, ...]] = get_args(MetricName)
"""What can be asked of an experiment; :mod:`analytics.experiments.metrics` defines each."""

NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
HASH_BITS: Final = 53
"""As many as a double holds exactly."""


class ExperimentError(ValueError):
    """A definition that cannot be used; the message says where, what is wrong and what would be right."""


class _VariantBody(BaseModel):
    """A variant as written."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0
    mapping: MappingName = "blend"
    smoothing: SmoothingName = "spring"
    parameters: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}


class _Eligible(BaseModel):
    """Which sessions take part, as written."""

    model_config = ConfigDict(extra="forbid")

    timeline: Timeline | None = "live"
    audio: bool = False
    video: bool = False


class _Body(BaseModel):
    """An experiment as written."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    hypothesis: Annotated[str, Field(max_length=2_000)] = ""
    status: Status = "draft"
    salt: Annotated[str, Field(min_length=1, max_length=64)] = "1"
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0
    traffic: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    eligible: _Eligible = _Eligible()
    primary: MetricName = "rating"
    units: Annotated[int, Field(ge=40, le=100_000_000)] = 1_000
    control: Annotated[str, Field(pattern=NAME)]
    variants: Annotated[dict[Annotated[str, Field(pattern=NAME)], _VariantBody], Field(min_length=2, max_length=16)]


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration that is compared."""

    name: str
    share: float
    """Of the units that the experiment admits; the shares of all variants sum to 1."""
    config: FusionConfig
    overrides: Mapping[str, float] = field(default_factory=dict)
    """The parameters that were written down; the others are the defaults."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an assignment knows of a session."""

    unit: str
    timeline: Timeline
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class Experiment:
    """A definition that was found good. ``variants`` are ordered by name."""

    name: str
    hypothesis: str
    status: Status
    salt: str
    priority: int
    traffic: float
    timeline: Timeline | None
    """Sessions of this timeline only; None: of both."""
    audio: bool
    """Whether consent to sound is needed."""
    video: bool
    primary: MetricName
    units: int
    """Planned, all variants together: intervals that may be looked at any time are narrowest there."""
    control: str
    variants: tuple[Variant, ...]

    def variant(self, name: str) -> Variant:
        """The variant of that name; KeyError."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)

    def eligible(self, candidate: Candidate) -> bool:
        """Whether the experiment is about sessions such as this one."""
        return (
            self.timeline in {None, candidate.timeline}
            and (candidate.audio or not self.audio)
            and (candidate.video or not self.video)
        )

    def admits(self, unit: str) -> bool:
        """Whether the unit is within the traffic: one that is stays so when the traffic grows."""
        return position("traffic", self.name, self.salt, unit) < self.traffic

    def draw(self, unit: str) -> Variant:
        """The unit's variant: the unit interval is cut by the variants' shares, in the order of their names."""
        at = position("variant", self.name, self.salt, unit)
        passed = 0.0
        for variant in self.variants:
            passed += variant.share
            if at < passed:
                return variant
        return self.variants[-1]  # shares sum to 1 but for rounding

    def assignment(self, variant: Variant) -> ExperimentAssignment:
        """What SessionStarted says of it."""
        return ExperimentAssignment(self.name, variant.name, self.salt)


def position(purpose: Literal["traffic", "variant"], experiment: str, salt: str, unit: str) -> float:
    """Where the unit lies in [0, 1): uniform, and independent for another purpose, experiment, salt or unit.

    The first 53 bits, big-endian, of SHA-256 over the JSON array of the four texts.
    """
    text = json.dumps([purpose, experiment, salt, unit])
    digest = hashlib.sha256(text.encode()).digest()
    return float((int.from_bytes(digest[:8], "big") >> (64 - HASH_BITS)) / (1 << HASH_BITS))


class Catalogue:
    """The experiments of a deployment."""

    def __init__(self, experiments: Iterable[Experiment] = ()) -> None:
        self._experiments = tuple(sorted(experiments, key=lambda each: (each.priority, each.name)))

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self._experiments)

    def __len__(self) -> int:
        return len(self._experiments)

    def get(self, name: str) -> Experiment | None:
        """The experiment of that name."""
        return next((each for each in self._experiments if each.name == name), None)

    def assign(self, candidate: Candidate) -> tuple[Experiment, Variant] | None:
        """The experiment and the variant that the session is given; None: it takes part in none."""
        for experiment in self._experiments:
            if experiment.status == "running" and experiment.eligible(candidate) and experiment.admits(candidate.unit):
                return experiment, experiment.draw(candidate.unit)
        return None


def parse_experiment(raw: Any) -> Experiment:
    """An experiment from what its file says; raises ExperimentError with every fault that was found, one a line."""
    if not isinstance(raw, dict):
        raise ExperimentError("the file must be a mapping with name, control and variants")
    try:
        body = _Body.model_validate(raw)
    except ValidationError as error:
        raise ExperimentError("\n".join(_fault(each) for each in error.errors())) from error
    faults = []
    if body.control not in body.variants:
        faults.append(f"control: {body.control!r} is none of the variants: {', '.join(body.variants)}")
    total = sum(variant.weight for variant in body.variants.values())
    variants = []
    for name, variant in sorted(body.variants.items()):
        try:
            config = FusionConfig.of(variant.parameters, mapping=variant.mapping, smoothing=variant.smoothing)
        except ConfigError as error:
            faults.append(f"variants.{name}.parameters: {error}")
        else:
            variants.append(Variant(name, variant.weight / total, config, variant.parameters))
    for i, variant_a in enumerate(variants):
        faults += [
            f"variants.{b.name}: the same configuration as {variant_a.name}: the two cannot differ"
            for b in variants[i + 1 :]
            if b.config == variant_a.config and not _is_check(body)
        ]
    if faults:
        raise ExperimentError("\n".join(faults))
    return Experiment(
        name=body.name,
        hypothesis=body.hypothesis.strip(),
        status=body.status,
        salt=body.salt,
        priority=body.priority,
        traffic=body.traffic,
        timeline=body.eligible.timeline,
        audio=body.eligible.audio,
        video=body.eligible.video,
        primary=body.primary,
        units=body.units,
        control=body.control,
        variants=tuple(variants),
    )


def _is_check(body: _Body) -> bool:
    """An A/A run, which says so in its name, has variants that are alike."""
    return body.name.startswith("aa-")


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    given = error.get("input")
    told = (
        f" (it says {given!r})" if isinstance(given, str | int | float) and error["type"] != "extra_forbidden" else ""
    )
    if error["type"] == "extra_forbidden":
        return f"{where}: there is no such field: remove it, or correct its name"
    if error["type"] == "missing":
        return f"{where}: is missing"
    return f"{where}: {error['msg']}{told}"
