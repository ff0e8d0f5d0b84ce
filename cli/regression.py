"""``affectstream regress``: golden recordings, replayed by the code that is here now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analytics.recordings.container import EXTENSION, RecordingError
from analytics.recordings.diffing import EXACT, Difference, Tolerances, compare
from analytics.recordings.frames import FrameDecoder, Frames
from analytics.recordings.reading import open_recording
from analytics.recordings.regression import Case, junit, page
from cli.replaying import replay_in_process
from runtime.keystore import KeyStore
from schemas.topics import AVATAR_FRAMES

TOLERANCES: Final = "tolerances.yaml"
"""In the folder of the recordings; without it, every byte must be the same."""
PAGE: Final = "index.html"
JUNIT: Final = "junit.xml"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Regression:
    """All cases, and where the reports lie."""

    cases: Sequence[Case]
    page: Path
    junit: Path

    @property
    def ok(self) -> bool:
        """Whether every recording replays within its tolerances."""
        return all(case.passed for case in self.cases)


def regress(folder: Path, out: Path, progress: Progress) -> Regression:
    """Replay every recording of ``folder`` and write ``out``/index.html and junit.xml.

    A recording that cannot be read is a failed case, not an error. Raises RecordingError if there is no recording, if
    the tolerances cannot be read, or if the reports cannot be written.
    """
    paths = sorted(folder.glob(f"*{EXTENSION}"))
    if not paths:
        raise RecordingError(f"{folder} holds no recording (*{EXTENSION})")
    declared = folder / TOLERANCES
    tolerances = Tolerances.read(declared) if declared.exists() else EXACT
    cases = []
    for path in paths:
        case = _case(path, tolerances)
        progress(f"{path.name}: {case.verdict}")
        cases.append(case)
    found = Regression(cases, out / PAGE, out / JUNIT)
    try:
        out.mkdir(parents=True, exist_ok=True)
        found.page.write_text(page(cases, tolerances), encoding="utf-8")
        found.junit.write_bytes(junit(cases))
    except OSError as error:
        raise RecordingError(f"the reports cannot be written to {out}: {error.strerror}") from error
    return found


def _case(path: Path, tolerances: Tolerances) -> Case:
    try:
        recording, recorded = open_recording(path), _frames(path)
        replayed = replay_in_process(recording)
        difference = compare(recorded, replayed.frames, tolerances)
    except RecordingError as error:
        return Case(path.name, 0.0, error=str(error))
    return Case(
        path.name, replayed.took_s, header=recording.header, difference=difference, recorded=recorded,
        replayed=replayed.frames,
    )  # fmt: skip


def diff(a: Path, b: Path, tolerances: Tolerances = EXACT, keys: KeyStore | None = None) -> Difference:
    """Compare the frames of two recordings; RecordingError if one cannot be read or holds no frames."""
    return compare(_frames(a, keys), _frames(b, keys), tolerances)


def _frames(path: Path, keys: KeyStore | None = None) -> Frames:
    frames = FrameDecoder().collect(open_recording(path, keys).of(AVATAR_FRAMES))
    if not frames.values:
        raise RecordingError(f"{path} holds no frames")
    return frames
