"""One measurement: a program, a log, and the processor time from the log's appearance to the last frame's."""

import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.fusion.contestants import Contestant
from benchmarks.fusion.frames import FrameReader, Frames
from benchmarks.fusion.kafka_log import HiddenLog, Topics, read_frames
from benchmarks.fusion.signals import RecordedLog
from benchmarks.processes import Candidate, CandidateError, free_port
from runtime.settings import Settings
from schemas.topics import AVATAR_FRAMES

POLL_S: Final = 0.05
CPU_STEP_S: Final = 0.01
"""The kernel's accounting of processor time is no finer."""
STALLED_S: Final = 10.0
IDLE_CPU: Final = 0.25
"""Without a new frame for so long, and with less than this share of a core, no more will come."""
BUSY_S: Final = 300.0
WARM_SHARE: Final = 1 / 3


@dataclass(frozen=True)
class Spread:
    """Median, least and most of repeated measurements."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Point:
    """What was seen at one moment of a run."""

    at_s: float
    cpu_s: float
    frames: int


@dataclass(frozen=True)
class Run:
    """One program over one log, flat out."""

    key: str
    log: RecordedLog
    start_s: float
    """From starting the program to its waiting for work."""
    start_cpu_s: float
    wall_s: float
    cpu_s: float
    """From the log's appearance to the last frame's acknowledgement."""
    missing: int
    """Frames that never came."""
    course: list[Point] = field(repr=False, default_factory=list)

    @property
    def steady_cpu_s(self) -> float:
        """What the whole log would cost at the rate of its last two thirds: without a compiler's warming up."""
        return steady(self.course)

    @property
    def us_a_session_second(self) -> float:
        """Processor time in µs that a second of one session costs."""
        return self.cpu_s / self.log.session_seconds * 1e6


def steady(course: Sequence[Point]) -> float:
    """Processor time of all frames, extrapolated from the frames after the first third."""
    last = course[-1]
    first = next(point for point in course if point.frames >= WARM_SHARE * last.frames)
    if first.frames == last.frames:
        return last.cpu_s
    return (last.cpu_s - first.cpu_s) / (last.frames - first.frames) * last.frames


def topics_of_a_run(settings: Settings, directory: Path) -> Settings:
    """Settings with a topic prefix, a data directory and a port that nobody else has."""
    prefix = f"bench-{uuid.uuid4().hex[:10]}."
    data_dir = directory / prefix.rstrip(".")
    data_dir.mkdir(parents=True, exist_ok=True)
    return settings.model_copy(update={"topic_prefix": prefix, "data_dir": data_dir, "metrics_port": free_port()})


def run_recorded(
    contestant: Contestant, settings: Settings, log: RecordedLog, directory: Path, *, read: bool = True
) -> tuple[Run, Frames | None]:
    """Measure one program over one log, and check that its frames are complete; ``read``: give them back, too.

    Raises CandidateError if the program ends, hangs before any work is there, or writes frames twice.
    """
    own = topics_of_a_run(settings, directory)
    with Topics(own) as topics:
        hidden = HiddenLog(own, log.slices())
        with Candidate(contestant.start(own, log), own.data_dir / "output.txt") as candidate:
            began = time.monotonic()
            candidate.wait_for(lambda: contestant.ready(own, candidate.said()))
            start_s, start_cpu_s = time.monotonic() - began, candidate.cpu_s()
            if topics.count(AVATAR_FRAMES) > 0:
                raise candidate.failure("wrote frames before there was a log")
            hidden.reveal()
            course = follow(candidate, lambda: topics.count(AVATAR_FRAMES), log.frames, start_cpu_s)
        frames = None
        missing = log.frames - course[-1].frames
        if contestant.computes and read:
            reader = FrameReader()
            read_frames(own, reader.take)
            frames = reader.frames()
            missing = frames.missing(log.everyone, log.frames_a_session)
        elif missing < 0:
            raise CandidateError(f"{contestant.title} wrote {-missing} frames too many")
    last = course[-1]
    run = Run(contestant.key, log, start_s, start_cpu_s, last.at_s, max(last.cpu_s, CPU_STEP_S), missing, course)
    return run, frames


def follow(candidate: Candidate, count: Callable[[], int], wanted: int, cpu_before_s: float) -> list[Point]:
    """Watch a program until it has written ``wanted`` frames, or no more come; the last point is the last frame's."""
    began = time.monotonic()
    course: list[Point] = []
    while True:
        # The count first: the time that is read later then covers at least these frames.
        frames = count()
        cpu_s = candidate.cpu_s() - cpu_before_s
        now = time.monotonic() - began
        if not course or frames > course[-1].frames:
            course.append(Point(now, cpu_s, frames))
        if frames >= wanted:
            return course
        if now - course[-1].at_s > STALLED_S:
            if cpu_s - course[-1].cpu_s < IDLE_CPU * STALLED_S:
                return course
            if now - course[-1].at_s > BUSY_S:
                raise candidate.failure(f"was busy for {BUSY_S:g} s without writing a frame")
        candidate.require_running()
        time.sleep(POLL_S)
