"""The statistics of experiments: from scipy and statsmodels where they have them. Pure; randomness is seeded.

Differences are treatment less control. Values are of units (subjects), which are independent of one another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, test_proportions_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from schemas.experiments import Correction

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SRM_THRESHOLD: Final = 0.001
SRM_FEWEST: Final = 5.0
"""Units that the rarest variant must be expected to have: under that the chi-square approximation does not hold."""
FEWEST: Final = 20
"""Units that each side needs before an interval is given: under that, the normal approximation is not to be trusted."""
SEQUENCE_FEWEST: Final = 50
"""The same for intervals that may be looked at from the first on; the smaller a variant's share, the more it needs
(:func:`first_look`), for its first values decide alone how much they vary."""
SEQUENCE_SHARE: Final = 10.0
PRIOR: Final = 2.0
"""Yes and no that a share's variance counts besides those that were seen (Agresti & Coull, 1998): without them, rare
events that have not happened yet seem impossible."""
METHODS: Final[Mapping[Correction, str]] = {"holm": "holm", "bh": "fdr_bh"}
RESAMPLES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; ``p_value`` is of its being 0."""

    value: float
    low: float
    high: float
    p_value: float = math.nan


@dataclass(frozen=True, slots=True)
class Ratio:
    """A check for sample-ratio mismatch."""

    verdict: Literal["ok", "mismatch", "too_few"]
    p_value: float
    expected: Mapping[str, float]


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> Ratio:
    """Whether units came to the variants by their shares: Pearson's chi-square, mismatch under p = 0.001.

    A mismatch says that something besides the draw decides who is counted: no other figure can be trusted then.
    """
    names = sorted(shares)
    total = sum(counts.get(name, 0) for name in names)
    expected = {name: total * shares[name] for name in names}
    if not names or min(expected.values()) < SRM_FEWEST:
        return Ratio("too_few", math.nan, expected)
    found = stats.chisquare([counts.get(name, 0) for name in names], [expected[name] for name in names])
    p_value = float(found.pvalue)
    return Ratio("mismatch" if p_value < SRM_THRESHOLD else "ok", p_value, expected)


def mean_of(values: Floats, *, confidence: float, share: bool = False) -> Estimate:
    """The mean with its interval: Student's t; of percentages of yes and no (0 and 100) Wilson's."""
    mean = float(np.mean(values))
    if share and _is_yes_no(values):
        low, high = proportion_confint(int(np.sum(values > 0)), len(values), alpha=1 - confidence, method="wilson")
        return Estimate(mean, 100 * float(low), 100 * float(high))
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def difference(treated: Floats, control: Floats, *, confidence: float, share: bool = False) -> Estimate:
    """The difference of means at a horizon fixed before: Welch's t; of yes and no Newcombe's with a score test.

    Not valid if one looks again and again and stops when it pleases: that is what :func:`sequence` is for.
    """
    if share and _is_yes_no(treated) and _is_yes_no(control):
        return _share_difference(treated, control, confidence)
    gap = float(np.mean(treated) - np.mean(control))
    if np.ptp(treated) == 0 and np.ptp(control) == 0:
        return Estimate(gap, gap, gap, 1.0 if gap == 0 else 0.0)
    found = CompareMeans(DescrStatsW(treated), DescrStatsW(control))
    low, high = found.tconfint_diff(alpha=1 - confidence, usevar="unequal")
    return Estimate(gap, float(low), float(high), float(found.ttest_ind(usevar="unequal")[1]))


def _share_difference(treated: Floats, control: Floats, confidence: float) -> Estimate:
    yes = int(np.sum(treated > 0)), int(np.sum(control > 0))
    counts = yes[0], len(treated), yes[1], len(control)
    low, high = confint_proportions_2indep(*counts, method="newcomb", compare="diff", alpha=1 - confidence)
    if sum(yes) in {0, len(treated) + len(control)}:
        p_value = 1.0
    else:
        with np.errstate(divide="ignore", invalid="ignore"):  # it tells ratios, too, which need not exist
            p_value = float(test_proportions_2indep(*counts, method="score", compare="diff").pvalue)
    return Estimate(100 * (yes[0] / counts[1] - yes[1] / counts[3]), 100 * float(low), 100 * float(high), p_value)


def _is_yes_no(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 100.0)).all())


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What CUPED makes of a difference."""

    estimate: Estimate
    variance_removed: float
    """Share of the variance of a unit's value that the covariate explains."""
    units: int
    """Units whose covariate is known."""


def cuped(treated: Floats, control: Floats, before: tuple[Floats, Floats], *, confidence: float) -> Adjusted | None:
    """The difference after taking off what was so before: y - theta (x - mean x), theta = cov(x, y) / var(x) in arms.

    ``before``: the units' values from before the experiment, NaN where unknown, which changes nothing for those (Deng,
    Xu, Kohavi & Walker, WSDM 2013). None if fewer than :data:`FEWEST` are known on a side.
    """
    sides = (treated, control)
    known = [np.isfinite(x) for x in before]
    if min(int(k.sum()) for k in known) < FEWEST:
        return None
    covariance = sum(
        float(np.sum((x[k] - x[k].mean()) * (y[k] - y[k].mean()))) for x, y, k in zip(before, sides, known, strict=True)
    )
    variance = sum(float(np.sum((x[k] - x[k].mean()) ** 2)) for x, k in zip(before, known, strict=True))
    if variance <= 0:
        return None
    theta = covariance / variance
    centre = float(np.mean(np.concatenate([x[k] for x, k in zip(before, known, strict=True)])))
    adjusted = [y - theta * np.where(k, x - centre, 0.0) for x, y, k in zip(before, sides, known, strict=True)]
    spread = [sum(float(np.var(side)) * len(side) for side in both) for both in (adjusted, sides)]
    removed = 1 - spread[0] / spread[1] if spread[1] > 0 else 0.0
    return Adjusted(
        difference(adjusted[0], adjusted[1], confidence=confidence), max(0.0, removed), sum(int(k.sum()) for k in known)
    )


@dataclass(frozen=True, slots=True)
class Peeking:
    """An anytime-valid interval at every number of units; NaN until both sides have enough (:func:`first_look`)."""

    units: npt.NDArray[np.int64]
    value: Floats
    low: Floats
    high: Floats
    p_value: Floats


def first_look(share: float) -> int:
    """Units that each side needs before the first anytime-valid interval, with this share of one side."""
    return max(SEQUENCE_FEWEST, math.ceil(SEQUENCE_SHARE / min(share, 1 - share)))


def sequence(
    values: Floats, treated: Bools, *, share: float, confidence: float, planned: int, percentages: bool = False
) -> Peeking:
    """The difference's confidence sequence over units in the order in which they came, along the last axis.

    With the probability ``confidence`` the truth lies in *all* of the intervals at once: one may look after every unit
    and stop whenever one likes. Asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas
    ("Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024), with the
    variance of the difference-in-means score, s1^2 / share + s0^2 / (1 - share), at each time:
    half width = s sqrt(2 (n r^2 + 1) / (n r)^2 log(sqrt(n r^2 + 1) / alpha)). r makes it narrowest at ``planned``
    units, which must not depend on the data. The p-value is the smallest alpha whose interval leaves out 0.
    ``percentages``: the values are percentages of yes and no.
    """
    alpha = 1 - confidence
    n = np.arange(1, values.shape[-1] + 1)
    sides = []
    for chosen in (treated, ~treated):
        count = np.cumsum(chosen, axis=-1)
        least = np.maximum(count, 1)
        mean = np.cumsum(np.where(chosen, values, 0.0), axis=-1) / least
        square = np.cumsum(np.where(chosen, values**2, 0.0), axis=-1) / least
        spread = np.maximum(square - mean**2, 0.0) * count / np.maximum(count - 1, 1)
        if percentages:
            likely = (mean / 100 * count + PRIOR) / (count + 2 * PRIOR)
            spread = np.maximum(spread, 10_000 * likely * (1 - likely))
        sides.append((count, mean, spread))
    (n1, mean1, spread1), (n0, mean0, spread0) = sides
    gap = mean1 - mean0
    variance = spread1 / share + spread0 / (1 - share)
    r2 = _tuned(alpha, planned)
    half = np.sqrt(variance * 2 * (n * r2 + 1) / (n**2 * r2) * np.log(np.sqrt(n * r2 + 1) / alpha))
    known = (np.minimum(n1, n0) >= first_look(share)) & (variance > 0)
    exponent = np.where(known, gap**2 * n**2 * r2 / (2 * np.where(known, variance, 1.0) * (n * r2 + 1)), 0.0)
    p_value = np.where(known, np.minimum(1.0, np.sqrt(n * r2 + 1) * np.exp(-exponent)), 1.0)
    nothing = np.where(known, 0.0, np.nan)
    return Peeking(n, gap + nothing, gap - half + nothing, gap + half + nothing, p_value)


def _tuned(alpha: float, planned: int) -> float:
    """The r^2 that makes the sequence narrowest at ``planned`` units (same paper, section 2)."""
    twice = -2 * math.log(alpha)
    return (twice + math.log(twice) + 1) / max(planned, 1)


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Adjusted p-values of a family; NaN stays NaN and does not count.

    Holm's hold the probability of any false positive, Benjamini and Hochberg's the expected share of false ones among
    those that are found.
    """
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    found = list(p_values)
    if correction == "none" or not known:
        return found
    adjusted = multipletests([p_values[i] for i in known], method=METHODS[correction])[1]
    for i, p in zip(known, adjusted, strict=True):
        found[i] = float(p)
    return found


def clustered_mean(sums: Floats, counts: Floats, *, confidence: float, seed: int = 0) -> Estimate:
    """sum(sums) / sum(counts) with a bootstrap interval (BCa) over clusters: ticks of one session are not independent.

    ``sums`` and ``counts``: of each cluster. Fewer than three clusters have no interval.
    """
    value = float(np.sum(sums) / np.sum(counts))
    if len(sums) < 3:
        return Estimate(value, math.nan, math.nan)
    if np.ptp(sums / counts) == 0:
        return Estimate(value, value, value, 1.0 if value == 0 else math.nan)

    def ratio(some: Floats, many: Floats, axis: int = -1) -> Any:
        return np.sum(some, axis=axis) / np.sum(many, axis=axis)

    found = stats.bootstrap(
        (sums, counts), ratio, paired=True, vectorized=True, n_resamples=RESAMPLES, batch=500,
        confidence_level=confidence, method="BCa", rng=np.random.default_rng(seed),
    )  # fmt: skip
    interval = found.confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), _signs(sums, counts, seed))


def _signs(sums: Floats, counts: Floats, seed: int) -> float:
    """p-value of the value's being 0 by turning the signs of whole clusters at random."""
    found = stats.permutation_test(
        (sums, np.zeros_like(sums)), lambda a, b, axis=-1: np.sum(a - b, axis=axis) / counts.sum(),
        permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=500,
        rng=np.random.default_rng(seed + 1),
    )  # fmt: skip
    return float(found.pvalue)
