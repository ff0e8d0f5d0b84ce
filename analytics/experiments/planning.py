"""How many units an experiment needs, before it starts. Pure; the power functions are statsmodels'."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import proportion_effectsize

SEQUENTIAL_INFLATION: Final = 1.6
"""Units with anytime-valid intervals over those at a fixed horizon, for the same power: see the tests."""


class PlanError(ValueError):
    """A plan that cannot be made; the message says what must be given."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Units needed, and by when they have come."""

    effect: float
    """In standard deviations (Cohen's d; of shares his h)."""
    per_variant: Mapping[str, int]
    units: int
    """All variants together, with a fixed horizon."""
    units_sequential: int
    """The same for looking at any time."""
    sessions: int
    """To begin, since not each unit is exposed."""
    days: float | None
    alpha: float
    power: float

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def plan(
    shares: Mapping[str, float], control: str, *, difference: float, deviation: float | None = None,
    baseline_share: float | None = None, power: float = 0.8, confidence: float = 0.95, metrics: int = 1,
    covariate_correlation: float = 0.0, exposed: float = 1.0, traffic: float = 1.0, units_a_day: float | None = None,
) -> Plan:  # fmt: skip
    """Units to find ``difference`` with ``power``, two-sided, between the control and the variant with least units.

    Give ``deviation``, the standard deviation of a unit's value, or for a share (in percent, like ``difference``)
    ``baseline_share``. The level is divided by the number of comparisons, metrics times variants but the control: on
    the safe side of Holm's correction. CUPED with a covariate of that correlation leaves 1 - r^2 of the variance.
    Raises PlanError.
    """
    if control not in shares or len(shares) < 2:
        raise PlanError(f"the control {control!r} is none of the variants: {', '.join(shares)}")
    if not difference:
        raise PlanError("--difference 0 cannot be found: say which difference would matter")
    alpha = (1 - confidence) / (metrics * (len(shares) - 1))
    if baseline_share is not None:
        other = baseline_share + difference
        if not (0 <= baseline_share <= 100 and 0 <= other <= 100):
            raise PlanError(f"a share of {baseline_share:g} % cannot become {other:g} %")
        effect = abs(float(proportion_effectsize(other / 100, baseline_share / 100)))
        solver: Any = NormalIndPower()
    elif deviation is not None and deviation > 0:
        effect = abs(difference) / (deviation * math.sqrt(1 - covariate_correlation**2))
        solver = TTestIndPower()
    else:
        raise PlanError("give --deviation (of a unit's value, above 0), or for a share --baseline")
    least = min((name for name in shares if name != control), key=lambda name: shares[name])
    ratio = shares[least] / shares[control]
    in_control = solver.solve_power(
        effect_size=effect, alpha=alpha, power=power, ratio=ratio, alternative="two-sided", nobs1=None
    )
    total = float(in_control) / shares[control]
    units = {name: math.ceil(total * share) for name, share in shares.items()}
    everyone = sum(units.values())
    sessions = math.ceil(everyone / exposed)
    return Plan(
        effect=effect,
        per_variant=units,
        units=everyone,
        units_sequential=math.ceil(everyone * SEQUENTIAL_INFLATION),
        sessions=sessions,
        days=None if units_a_day is None else sessions / (units_a_day * traffic),
        alpha=alpha,
        power=power,
    )
