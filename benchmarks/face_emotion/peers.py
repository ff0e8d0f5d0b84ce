"""Others on the same crops: each in an environment of its own, a process that answers paths line by line."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench import Progress
from benchmarks.environments import make_environment
from inference_workers.evaluation.face import Answer, FaceScores
from inference_workers.training.face.corpora import label_of
from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS

HERE: Final = Path(__file__).parent
PEERS: Final = {"fer": "fer (PyPI)", "deepface": "DeepFace", "hsemotion": "hsemotion-onnx"}
TIMEOUT_S: Final = 1_800
SAID: Final = 160
"""Characters of an error that are shown."""


def ask(cache_dir: Path, crops: Sequence[tuple[Path, int]], progress: Progress) -> dict[str, dict[str, Any] | str]:
    """Every peer's figures on the crops, or why it could not be asked."""
    found: dict[str, dict[str, Any] | str] = {}
    for name, title in PEERS.items():
        try:
            home = cache_dir / "peers" / f"face-{name}"
            make_environment(title, HERE / name / "requirements.txt", home, progress)
            progress(f"{title}: {len(crops)} crops")
            found[title] = _figures(home, name, crops)
        except PrerequisiteError as error:
            found[title] = str(error)
    return found


def _figures(home: Path, name: str, crops: Sequence[tuple[Path, int]]) -> dict[str, Any]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [str(home / "bin" / "python"), str(HERE / name / "__main__.py")],
        input="\n".join(str(path.resolve()) for path, _ in crops),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, **quiet, **threads},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(lines) != len(crops):
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise PrerequisiteError(last if len(last) <= SAID else f"{last[:SAID]}…")
    answered = [
        Answer(path, label, _ours(line["scores"]), crop=True) for (path, label), line in zip(crops, lines, strict=True)
    ]
    return {**FaceScores.of(answered).keys(), "ms": round(statistics.median(line["ms"] for line in lines), 2)}


def _ours(scores: dict[str, float]) -> tuple[float, ...]:
    """A peer's scores by its names as a distribution over our emotions; what is none of them is left out."""
    found = np.zeros(len(EMOTIONS))
    for name, score in scores.items():
        if (place := label_of(name)) is not None:
            found[place] = score
    total = found.sum()
    return tuple((found / total if total > 0 else np.full(len(EMOTIONS), 1 / len(EMOTIONS))).tolist())
