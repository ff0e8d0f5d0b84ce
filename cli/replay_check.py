"""``affectstream verify replay``: one recorded log, whatever the speed, the stalls and the number of processes."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise, takewhile
from typing import Final

from analytics.recordings.frames import frames_sha256
from cli.laboratory import FrameLog, FusionProcess, Progress, VerificationError, Writer, own_topics
from cli.synthetic import START_US, US, Arrival, synthetic_log
from runtime.settings import Settings

FLAT_OUT: Final = 0.0
STALLS_A_SECOND: Final = 0.5
PAUSE_S: Final = (0.05, 0.6)
"""Shortest and longest time for which a fusion process is stopped dead in its tracks (SIGSTOP)."""
BETWEEN_PAUSES_S: Final = (0.2, 1.5)


@dataclass(frozen=True, slots=True)
class Run:
    """How the log was fused once, and what came out. ``speed`` 0: as fast as it goes."""

    speed: float
    processes: int
    sha256: str
    frames: int
    repeated: int
    pauses: int
    seconds: float

    @property
    def title(self) -> str:
        """For people."""
        speed = "flat out" if self.speed == FLAT_OUT else f"{self.speed:g}x"
        return f"{speed}, {self.processes} {'process' if self.processes == 1 else 'processes'}"


@dataclass(frozen=True, slots=True)
class Replays:
    """All runs of one log."""

    signals: int
    runs: Sequence[Run]

    @property
    def identical(self) -> bool:
        """Whether every run gave the same frames, and some."""
        return len({run.sha256 for run in self.runs}) == 1 and self.runs[0].frames > 0

    def keys(self) -> Mapping[str, object]:
        """The JSON object."""
        return {
            "identical": self.identical,
            "sha256": self.runs[0].sha256 if self.identical else None,
            "frames": self.runs[0].frames,
            "signals": self.signals,
            "runs": [asdict(run) for run in self.runs],
        }


def groups(partitions: int, processes: int) -> list[range]:
    """Neighbouring partitions for each process, as evenly as they go; VerificationError if there are too few."""
    if not 1 <= processes <= partitions:
        raise VerificationError(f"{partitions} partitions cannot be shared by {processes} processes")
    bounds = [partitions * n // processes for n in range(processes + 1)]
    return [range(first, end) for first, end in pairwise(bounds)]


def verify_replay(
    settings: Settings,
    *,
    speeds: Sequence[float],
    processes: Sequence[int],
    seconds: float,
    sessions: int,
    seed: int,
    progress: Progress,
) -> Replays:
    """Fuse ``seconds`` of one log at every speed by every number of processes, with stalls.

    Raises VerificationError if a process fails by itself.
    """
    until_us = START_US + round(seconds * US)
    recorded = list(takewhile(lambda arrival: arrival.at_us < until_us, synthetic_log(sessions, seed)))
    rng = random.Random(seed + 1)
    runs = []
    for speed in speeds:
        for count in processes:
            run = _fuse(settings, recorded, speed, count, rng)
            progress(f"{run.title}: {run.frames} frames, {run.pauses} pauses, {run.seconds} s, {run.sha256[:16]}…")
            runs.append(run)
    return Replays(len(recorded), runs)


def _fuse(settings: Settings, recorded: Sequence[Arrival], speed: float, count: int, rng: random.Random) -> Run:
    begun_s = time.monotonic()
    with ExitStack() as stack:
        own = stack.enter_context(own_topics(settings, "replayed"))
        fusions = [FusionProcess(own, group) for group in groups(own.partitions, count)]
        for fusion in fusions:
            stack.callback(fusion.kill)
            fusion.start()
        for fusion in fusions:
            fusion.wait_working()
        writer = Writer(own, recorded, speed=speed, stalls=STALLS_A_SECOND, rng=random.Random(rng.random()).random)
        pauses = Pauses(fusions, random.Random(rng.random()))
        writer.start()
        pauses.start()
        writer.finish()
        pauses.finish()
        for fusion in fusions:
            fusion.wait_caught_up()
        for fusion in fusions:
            fusion.stop()
        log = FrameLog(own)
        if log.conflicts:
            raise VerificationError(f"frames stand in the log with different bytes: {log.conflicts[:5]}")
        seconds = round(time.monotonic() - begun_s, 1)
        return Run(speed, count, frames_sha256(log.frames), len(log.frames), log.repeated, pauses.count, seconds)


class Pauses(threading.Thread):
    """Stops one of the processes dead for a moment, again and again, until told to finish."""

    def __init__(self, fusions: Sequence[FusionProcess], rng: random.Random) -> None:
        super().__init__(name="pauses", daemon=True)
        self.count = 0
        self._fusions = fusions
        self._rng = rng
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            fusion = self._rng.choice(self._fusions)
            fusion.pause()
            self._enough.wait(self._rng.uniform(*PAUSE_S))
            fusion.pause(go_on=True)
            self.count += 1
            self._enough.wait(self._rng.uniform(*BETWEEN_PAUSES_S))

    def finish(self) -> None:
        """Return when every process goes on."""
        self._enough.set()
        self.join()
