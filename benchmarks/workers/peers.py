"""Others doing the face worker's work on the same pictures, each in an environment of its own."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.bench import Progress
from benchmarks.environments import make_environment
from benchmarks.fusion.contestants import ROOT
from benchmarks.processes import Candidate, CandidateError, Program, environment
from benchmarks.workers.faces import AGREED, Fractions, Seen
from inference_workers import models
from inference_workers.engines.face_geometry import Box
from runtime.settings import Settings

HERE: Final = Path(__file__).resolve().parent
PEERS: Final = ("mediapipe",)
DEADLINE_S: Final = 600.0
SAME_FACE: Final = 0.7
"""Overlap of two boxes of one face: the one is of this picture's landmarks, the other may be smoothed over several."""


@dataclass(frozen=True)
class PeerRate:
    """What a picture costs a peer, over all its threads."""

    faces_per_s: float
    spread: tuple[float, float]


def mediapipe_rate(
    settings: Settings, folder: Path, seen: Sequence[Seen], repeats: int, progress: Progress
) -> PeerRate:
    """MediaPipe's own package; CandidateError if it does not find the faces that we found.

    The package reports usage to its maker where the network lets it.
    """
    home = settings.cache_dir / "bench" / "mediapipe"
    make_environment("MediaPipe", HERE / "mediapipe" / "requirements.txt", home, progress)
    progress("MediaPipe: the same pictures (this package reports usage to its maker)")
    archive = folder / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number, (jpeg, _) in enumerate(seen):
            packed.writestr(f"{number:06}.jpg", jpeg)
    arguments = (str(archive), str(models.locate(settings, "face_landmarker")), str(repeats))
    command = [str(home / "bin" / "python"), "-m", "benchmarks.workers.mediapipe", *arguments]
    said = _answer(Program(command, environment(PYTHONPATH=str(ROOT)), folder), folder / "mediapipe.txt")
    check_same([box for _, box in seen], said["boxes"])
    rates = sorted(len(seen) / spent_s for spent_s in said["cpu_s"])
    return PeerRate(median(rates), (rates[0], rates[-1]))


def check_same(ours: Sequence[Fractions], theirs: Sequence[Fractions | None]) -> None:
    """Raise CandidateError unless nearly every face that we found is there, where we found it."""
    same = sum(
        other is not None and Box(*one).overlap(Box(*other)) >= SAME_FACE
        for one, other in zip(ours, theirs, strict=True)
    )
    if same < AGREED * len(ours):
        raise CandidateError(f"only {same} of {len(ours)} faces are where we found them: the work is not the same")


def _answer(program: Program, log_path: Path) -> dict[str, Any]:
    """The JSON object that a program says last."""
    with Candidate(program, log_path) as candidate:
        code = candidate.wait(DEADLINE_S)
        answers = [line for line in candidate.said().splitlines() if line.startswith("{")]
        if code != 0 or not answers:
            raise candidate.failure(f"ended with code {code}")
    answer: dict[str, Any] = json.loads(answers[-1])
    return answer
