"""``affectstream experiment simulate``: an experiment on people who do not exist, through the fusion that does.

Signals of simulated faces and voices (:mod:`cli.simulated_people`) are encoded, fused, mapped and smoothed by the
product's own shard, under the variant that its own draw assigns. What viewers think of it is simulated after that, by
:class:`Viewers`, whose numbers are made up, and known: so one sees whether the report finds what was put in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.experiments.analysis import Arms, Observation, analyse
from analytics.experiments.analysis import Settings as Judging
from analytics.experiments.metrics import SessionFacts, values_of
from analytics.experiments.pairing import compare_pairs
from analytics.experiments.tracks import Track
from cli.refusing import RecordedSignals, fuse_under
from cli.simulated_people import FACE_HZ, START_US, US, Person, intended, signals, start_of
from schemas.codec import Codec
from schemas.experiments import Experiment
from schemas.records import SessionStarted
from schemas.vocabulary import EMOTIONS

Json = dict[str, Any]
Progress = Callable[[str], None]

DAYS: Final = 14
CHUNK: Final = 25
NOTE: Final = (
    "Simulated: {sessions:,} people who do not exist, fused by the product's own code; ratings, opt-outs and groups "
    "follow made-up rules (cli/simulating.py)."
)


@dataclass(frozen=True, slots=True)
class Viewers:
    """What simulated viewers think: a rating is 3.1 plus what follows, plus noise, rounded, 1 to 5."""

    expressiveness: float = 0.11
    """For each percent of range above 20."""
    jitter: float = -0.05
    """For each thousandth above 5."""
    lag: float = -0.004
    """For each ms above 25."""
    kindness: float = 0.4
    noise: float = 0.35
    rated: float = 0.9
    """Share of viewers who rate."""
    reported: float = 0.95
    """Share who say, once, what they feel."""
    exposed: float = 0.96
    opted_out: float = 0.04
    returning: float = 0.8
    """Share of people who were there before the experiment."""

    def rating(self, values: Mapping[str, float | None], person: Person, rng: np.random.Generator) -> float:
        """One viewer's rating of what was shown."""
        felt = 3.1 + self.kindness * person.kindness + self.noise * rng.normal()
        felt += self.expressiveness * ((values["expressiveness"] or 20) - 20)
        felt += self.jitter * ((values["jitter"] or 5) - 5) + self.lag * ((values["responsiveness"] or 25) - 25)
        return float(np.clip(round(felt), 1, 5))


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation gave."""

    report: Json
    pairs: Mapping[str, Json]
    note: str


def simulate(experiment: Experiment, sessions: int, seed: int, progress: Progress, judging: Judging) -> Simulated:
    """One session each of ``sessions`` people, over two weeks; the same seed gives the same report."""
    viewers = Viewers()
    people = [Person.drawn(n, seed) for n in range(sessions)]
    when = np.sort(np.random.default_rng((seed, 99)).uniform(0, DAYS * 86_400, sessions))
    tracks: dict[str, dict[str, Track]] = {variant.name: {} for variant in experiment.variants}
    for begin in range(0, sessions, CHUNK):
        chunk = [_recorded(n, people[n], when[n], experiment, seed) for n in range(begin, min(begin + CHUNK, sessions))]
        for variant in experiment.variants:
            tracks[variant.name].update(fuse_under(variant.config, chunk))
        progress(f"{min(begin + CHUNK, sessions)} of {sessions} sessions fused under each variant")
    observations, before = [], {}
    for n, person in enumerate(people):
        rng = np.random.default_rng((seed, n, 2))
        seen = _observed(n, person, when[n], experiment, tracks, viewers, rng, seed)
        observations.append(seen)
        if rng.random() < viewers.returning:
            # Then everybody saw what the control shows.
            told = values_of(SessionFacts(track=tracks[experiment.control][_session_id(n)]))
            before[person.subject] = {"rating": viewers.rating(told, person, rng)}
    progress("analysing")
    now_ms = (START_US + DAYS * 86_400 * US) // 1_000
    report = analyse(Arms.of(experiment), observations, before, now_ms=now_ms, settings=judging)
    pairs = paired(experiment, tracks, judging.confidence)
    return Simulated(report, pairs, NOTE.format(sessions=sessions))


def paired(experiment: Experiment, tracks: Mapping[str, Mapping[str, Track]], confidence: float) -> Mapping[str, Json]:
    """Each variant against the control on the same sessions."""
    return {
        variant.name: compare_pairs(tracks[experiment.control], tracks[variant.name], confidence=confidence)
        for variant in experiment.variants
        if variant.name != experiment.control
    }


def _session_id(number: int) -> str:
    return f"simulated-{number:04d}"


def _recorded(number: int, person: Person, at_s: float, experiment: Experiment, seed: int) -> RecordedSignals:
    variant = experiment.draw(person.subject)
    begin: SessionStarted = start_of(person, variant.config, experiment.assignment(variant))
    name, started_us = _session_id(number), START_US + int(at_s) * US
    said = list(signals(person, begin, session_id=name, started_us=started_us, seed=seed))
    return RecordedSignals.made(name, said, Codec())


def _observed(  # noqa: PLR0917 - one place calls it
    number: int, person: Person, at_s: float, experiment: Experiment, tracks: Mapping[str, Mapping[str, Track]],
    viewers: Viewers, rng: np.random.Generator, seed: int,
) -> Observation:  # fmt: skip
    variant = experiment.draw(person.subject).name
    track = tracks[variant][_session_id(number)]
    told = values_of(SessionFacts(track=track))
    facts = SessionFacts(
        track=track,
        duration_s=person.seconds,
        ratings=[viewers.rating(told, person, rng)] if rng.random() < viewers.rated else (),
        opted_out=bool(rng.random() < viewers.opted_out),
        felt=_felt(number, person, rng, seed) if rng.random() < viewers.reported else (),
    )
    return Observation(
        session_id=_session_id(number), unit=person.subject, variant=variant,
        assigned_at_ms=(START_US + int(at_s) * US) // 1_000, exposed=bool(rng.random() < viewers.exposed),
        group=person.group, values=values_of(facts),
    )  # fmt: skip


def _felt(number: int, person: Person, rng: np.random.Generator, seed: int) -> Sequence[tuple[int, str]]:
    """At a moment of the session that lasts, what the person means to show."""
    _, meant = intended(person, np.random.default_rng((seed, number, 1)))
    moments = np.flatnonzero(np.convolve(np.diff(meant) == 0, np.ones(FACE_HZ), "valid") == FACE_HZ) + FACE_HZ
    if not len(moments):
        return ()
    tick = int(rng.choice(moments))
    return [(tick, EMOTIONS[int(meant[tick])])]
