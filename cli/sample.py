"""The sample session: half a minute of real pixels and real sound, with its ground truth.

NASA's portrait of an astronaut, who smiles, is moved, zoomed and rolled, and blinked to black twice; espeak-ng speaks
a few sentences with clear silences between them. ``sample.mp4`` has both, ``sample.wav`` the sound alone (16 kHz mono),
``sample.json`` says when a face shows and when somebody speaks.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from runtime.assets import AssetEvent, fetch, load_manifest
from runtime.settings import Settings

MANIFEST: Final = Path(__file__).parent / "sample.yaml"

DURATION_S: Final = 30.0
FPS: Final = 30
SIZE: Final = (640, 480)
BLACK: Final = ((10.0, 11.0), (21.0, 22.0))
"""Seconds in which the picture is black."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What the sample shows and when, in seconds from its start."""

    duration_s: float
    fps: int
    width: int
    height: int
    face_visible: tuple[Interval, ...]
    speech: tuple[Interval, ...]

    @classmethod
    def read(cls, path: Path) -> "GroundTruth":
        """From ``sample.json``."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        for name in ("face_visible", "speech"):
            raw[name] = tuple((float(start), float(end)) for start, end in raw[name])
        return cls(**raw)

    def shows_face(self, at_s: float, *, margin_s: float = 0.0) -> bool:
        """Whether a face shows at ``at_s`` of the looped sample, at least ``margin_s`` inside an interval."""
        return inside(self.face_visible, at_s % self.duration_s, margin_s)

    def speaks(self, at_s: float, *, margin_s: float = 0.0) -> bool:
        """Whether somebody speaks then; margins as above."""
        return inside(self.speech, at_s % self.duration_s, margin_s)

    def silent(self, at_s: float, *, margin_s: float = 0.0) -> bool:
        """Whether nobody speaks within ``margin_s`` of then."""
        return not inside(self.speech, at_s % self.duration_s, -margin_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the sample lies."""

    video: Path
    audio: Path
    truth: GroundTruth


def prepare(settings: Settings, progress: Callable[[str], None]) -> Sample:
    """The sample in ``cache_dir/sample``, made if it is not there; takes about 10 s then.

    Raises ModelError or PrerequisiteError if the portrait or the synthesiser cannot be had.
    """
    # A sample made by another version of this code is another sample.
    made_by = (Path(__file__), Path(__file__).with_name("filming.py"), MANIFEST)
    version = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()[:16]
    home = settings.cache_dir / "sample" / version
    sample_paths = home / "sample.mp4", home / "sample.wav", home / "sample.json"
    if not home.exists():
        _make(settings, home, progress)
    video, audio, truth = sample_paths
    return Sample(video, audio, GroundTruth.read(truth))


def _make(settings: Settings, home: Path, progress: Callable[[str], None]) -> None:
    # Imports the libraries of film and sound, which a sample that exists does not need.
    from cli.filming import make  # noqa: PLC0415

    manifest = load_manifest(MANIFEST)

    def report(event: AssetEvent) -> None:
        if event.phase != "cached":
            progress(str(event))

    tools = settings.cache_dir / "tools"
    portrait = fetch(manifest["astronaut"], tools, report)
    synthesiser = fetch(manifest["espeak_ng"], tools, report)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".making-") as name:
        progress("sample session: speaking and filming (once)")
        made = Path(name) / "made"
        made.mkdir()
        truth = make(portrait, synthesiser, made)
        (made / "sample.json").write_text(json.dumps(asdict(truth), indent=2) + "\n", encoding="utf-8")
        try:
            made.rename(home)
        except OSError:
            # Another process was quicker; what it made is the same.
            if not home.exists():
                raise


def inside(intervals: Sequence[Interval], at_s: float, margin_s: float) -> bool:
    """Whether ``at_s`` lies in one of the intervals, at least ``margin_s`` from its ends (outside of them, if < 0)."""
    return any(start + margin_s <= at_s < end - margin_s for start, end in intervals)


def complement(intervals: Sequence[Interval], duration_s: float) -> tuple[Interval, ...]:
    """What lies between ascending, disjoint intervals within ``duration_s``."""
    edges = [0.0, *(edge for interval in intervals for edge in interval), duration_s]
    return tuple(zip(edges[::2], edges[1::2], strict=True))
