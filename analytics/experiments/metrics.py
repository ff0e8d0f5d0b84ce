"""The metrics of experiments, each defined once. Pure.

A metric is a number of one session, or None if the session does not tell. Whoever compares variants takes the mean over
the sessions of a unit, and over units (:mod:`analytics.experiments.analysis`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from analytics.experiments.tracks import EXPRESSION, SHAPES, TICKS_A_SECOND, Floats, Track
from schemas.experiments import METRICS, MetricName
from schemas.vocabulary import AUS, EMOTIONS

Better = Literal["higher", "lower", "neither"]
Kind = Literal["mean", "share"]

FOLLOWING: Final = (
    ("AU01", ("browInnerUp",)),
    ("AU02", ("browOuterUpLeft", "browOuterUpRight")),
    ("AU04", ("browDownLeft", "browDownRight")),
    ("AU05", ("eyeWideLeft", "eyeWideRight")),
    ("AU06", ("cheekSquintLeft", "cheekSquintRight")),
    ("AU07", ("eyeSquintLeft", "eyeSquintRight")),
    ("AU09", ("noseSneerLeft", "noseSneerRight")),
    ("AU12", ("mouthSmileLeft", "mouthSmileRight")),
)
"""Action Units and the blendshapes that follow them."""

MAX_LAG_TICKS: Final = 15
PEAK_FOOT: Final = 5.0
LAGS: Final = np.arange(-MAX_LAG_TICKS, MAX_LAG_TICKS + 1)
MOVED: Final = 0.5
"""An Action Unit counts if its largest and smallest value are this far apart."""
SPEAKING: Final = 0.5
RESTING: Final = 0.15
REST_TICKS: Final = TICKS_A_SECOND
FEWEST_TICKS: Final = TICKS_A_SECOND
"""Of what a metric is about: fewer tell nothing."""
REPORTED_TICKS: Final = TICKS_A_SECOND

SENSITIVE: Final = ("sad", "angry", "fear", "disgust")
"""Emotions whose wrong ascription does harm."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of one session."""

    track: Track | None = None
    duration_s: float | None = None
    """From its start to its end; None while it lives."""
    ratings: Sequence[float] = ()
    opted_out: bool = False
    felt: Sequence[tuple[int, str]] = field(default_factory=tuple)
    """(tick, emotion) of each time the person said what they felt."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's definition. ``of_frames``: whether it can be told from frames alone, for comparing in one session."""

    name: str
    title: str
    unit: str
    better: Better
    of: Callable[[SessionFacts], float | None]
    kind: Kind = "mean"
    of_frames: bool = False
    digits: int = 3

    @property
    def definition(self) -> str:
        """What it is and by which formula: the function's own words."""
        return " ".join((self.of.__doc__ or "").split())


def rating(session: SessionFacts) -> float | None:
    """Mean of the session's ratings, 1 to 5, of how well the avatar shows what the person feels."""
    return float(np.mean(session.ratings)) if session.ratings else None


def jitter(session: SessionFacts) -> float | None:
    """Standard deviation of the white noise that would give the expression blendshapes' second differences.

    sqrt(mean over ticks and shapes of (w[t-1] - 2 w[t] + w[t+1])^2 / 6), in thousandths of a blendshape's range, over
    ticks without a gap (the difference-based estimator of Gasser, Sroka & Jennen-Steinmetz, Biometrika 73, 1986).
    Smooth movement, however large, adds next to nothing.
    """
    track = session.track
    if track is None or len(track) < FEWEST_TICKS:
        return None
    weights = track.shapes[:, :EXPRESSION]
    inner = track.joined[1:-1] & track.joined[2:]
    if inner.sum() < FEWEST_TICKS - 2:
        return None
    second = (weights[:-2] - 2 * weights[1:-1] + weights[2:])[inner]
    return float(1_000 * np.sqrt(np.mean(second**2) / 6))


def responsiveness(session: SessionFacts) -> float | None:
    """Lag from a change of an Action Unit to the change of the blendshapes that follow it, in ms.

    The centre of mass of the peak, within 500 ms to both sides, of the cross-covariance of their tick-to-tick changes,
    summed over the pairs AU01-browInnerUp, AU02-browOuterUp, AU04-browDown, AU05-eyeWide, AU06-cheekSquint,
    AU07-eyeSquint, AU09-noseSneer and AU12-mouthSmile: sum(k c[k]) / sum(c[k]) ticks, c[k] = sum over t of dAU[t]
    dw[t+k], over the lags around the largest c[k] up to where it is less than a fifth of that. Action Units that move
    by less than 0.5 do not count. For a linear filter that is about its mean delay. Latency before fusion is not in it.
    """
    track = session.track
    if track is None:
        return None
    live = track.face_live
    changed = track.joined & live
    total = np.zeros(2 * MAX_LAG_TICKS + 1)
    for au, shapes in FOLLOWING:
        signal = track.aus[:, AUS.index(au)]
        if live.sum() < FEWEST_TICKS or np.ptp(signal[live]) < MOVED:
            continue
        answer = np.mean([track.shapes[:, SHAPES.index(shape)] for shape in shapes], axis=0)
        before, after = _changes(signal, changed), _changes(answer, track.joined)
        total += [_covariance(before, after, int(k)) for k in LAGS]
    at = int(total.argmax())
    low = total < total[at] / PEAK_FOOT
    if total[at] <= 0:
        return None
    # Only the peak itself: away from it chance is all that there is.
    low[:at] = np.logical_or.accumulate(low[:at][::-1])[::-1]
    low[at:] = np.logical_or.accumulate(low[at:])
    total[low] = 0.0
    return float(total @ LAGS / total.sum() * 1_000 / TICKS_A_SECOND)


def expressiveness(session: SessionFacts) -> float | None:
    """How far the face moves, as a percentage of a blendshape's range.

    The mean over the expression blendshapes of the span from the 5th to the 95th percentile of a session's ticks.
    """
    track = session.track
    if track is None or len(track) < FEWEST_TICKS:
        return None
    low, high = np.percentile(track.shapes[:, :EXPRESSION], (5, 95), axis=0)
    return float(100 * np.mean(high - low))


def mouth_speech_agreement(session: SessionFacts) -> float | None:
    """Pearson correlation, -1 to 1, of the avatar's jawOpen and how far the visemes that were heard open a mouth.

    Over ticks with a speaking probability of at least 0.5, at no lag. What was heard is the sum of the speech signals'
    viseme weights, each by its openness (sil 0, aa 1), at the tick.
    """
    track = session.track
    if track is None:
        return None
    chosen = (track.speaking >= SPEAKING) & np.isfinite(track.heard)
    jaw, heard = track.shapes[chosen, -1], track.heard[chosen]
    if len(jaw) < FEWEST_TICKS or np.std(jaw) < 1e-6 or np.std(heard) < 1e-6:
        return None
    return float(np.corrcoef(jaw, heard)[0, 1])


def opt_out(session: SessionFacts) -> float | None:
    """Percentage of sessions whose person withdrew all consent."""
    return 100.0 if session.opted_out else 0.0


def duration(session: SessionFacts) -> float | None:
    """From a session's start to its end, in seconds; sessions that still run do not count."""
    return session.duration_s


def sensitive_false_positives(session: SessionFacts) -> float | None:
    """Percentage of resting ticks at which sad, angry, fear or disgust is shown as the strongest emotion.

    A tick rests if for a second before it a face was live, no Action Unit but the blink (AU45) was above 0.15, and the
    speaking probability was under 0.5: a face and a voice that say nothing. What is ascribed to them then is wrong.
    """
    track = session.track
    if track is None or not len(track):
        return None
    silent = track.aus[:, [i for i, name in enumerate(AUS) if name != "AU45"]].max(axis=1) <= RESTING
    calm = silent & track.face_live & (track.speaking < SPEAKING)
    # Ticks since the last one that was not calm, or that followed a gap.
    broken = np.flatnonzero(~(calm & track.joined))
    last = np.searchsorted(broken, np.arange(len(track)), side="right") - 1
    since = np.arange(len(track)) - np.where(last >= 0, broken[np.maximum(last, 0)], -1)
    resting = calm & (since >= REST_TICKS)
    if resting.sum() < FEWEST_TICKS:
        return None
    strongest = track.emotions[resting].argmax(axis=1)
    return float(100 * np.isin(strongest, [EMOTIONS.index(name) for name in SENSITIVE]).mean())


def recognition_error(session: SessionFacts) -> float | None:
    """Percentage of self-reports that the strongest emotion contradicts.

    A self-report is a rating with which the person said what they felt; the strongest emotion is by the mean of the
    second before it.
    """
    track = session.track
    if track is None or not session.felt:
        return None
    wrong = []
    for tick, felt in session.felt:
        inside = (track.sequence > tick - REPORTED_TICKS) & (track.sequence <= tick)
        if inside.any():
            wrong.append(EMOTIONS[int(track.emotions[inside].mean(axis=0).argmax())] != felt)
    return float(100 * np.mean(wrong)) if wrong else None


def confidence(session: SessionFacts) -> float | None:
    """Mean over ticks of the confidence in what is shown, 0 to 1: that of face and speech, each by its weight."""
    track = session.track
    return float(track.confidence.mean()) if track is not None and len(track) else None


def _changes(values: Floats, joined: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Floats:
    """Tick-to-tick changes; 0 where there is a gap."""
    return np.where(joined[1:], np.diff(values), 0.0)


def _covariance(before: Floats, after: Floats, lag: int) -> float:
    """Sum of products, ``after`` being ``lag`` ticks later."""
    if lag < 0:
        return float(before[-lag:] @ after[:lag])
    return float(before[: len(before) - lag] @ after[lag:])


_ALL: Final = (
    Metric("rating", "Perceptual rating", "1 to 5", "higher", rating, digits=2),
    Metric("jitter", "Jitter", "‰ of range", "lower", jitter, of_frames=True, digits=2),
    Metric("responsiveness", "Responsiveness (lag)", "ms", "lower", responsiveness, of_frames=True, digits=1),
    Metric("expressiveness", "Expressiveness", "% of range", "higher", expressiveness, of_frames=True, digits=2),
    Metric(
        "mouth_speech_agreement", "Mouth-speech agreement", "correlation", "higher", mouth_speech_agreement,
        of_frames=True,
    ),
    Metric("opt_out", "Opt-outs", "% of sessions", "lower", opt_out, kind="share", digits=2),
    Metric("duration", "Session duration", "s", "neither", duration, digits=1),
    Metric(
        "sensitive_false_positives", "False positives of sensitive classes", "% of resting ticks", "lower",
        sensitive_false_positives, of_frames=True, digits=2,
    ),
)  # fmt: skip
DEFINED: Final[Mapping[MetricName, Metric]] = {
    name: next(metric for metric in _ALL if metric.name == name) for name in METRICS
}
"""Every metric by its name."""

FAIRNESS: Final = (
    Metric(
        "recognition_error",
        "Recognition error",
        "% of self-reports",
        "lower",
        recognition_error,
        kind="share",
        digits=1,
    ),
    DEFINED["sensitive_false_positives"],
    Metric("confidence", "Confidence", "0 to 1", "higher", confidence, of_frames=True),
)
"""What is compared between groups."""


def values_of(session: SessionFacts) -> dict[str, float | None]:
    """Every metric of a session, and those of fairness."""
    return {metric.name: metric.of(session) for metric in (*_ALL, *FAIRNESS)}
