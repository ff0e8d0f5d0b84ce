"""``affectstream eval loop``: a head is moved by known weights, filmed, and read by the face engine. What was lost.

The head is rendered (:mod:`cli.heads`) with ARKit weights and a pose that are known exactly. Each picture becomes a
JPEG and goes through the worker's decoder and the face engine, followed from picture to picture as a session is. So
every difference is the engine's: its networks' and its curves'.

Two films: *sweeps* move one channel (both its sides) through five weights in several poses and lights: the curves are
fitted on them. The *act* plays several channels at once on smooth paths while the head turns: it is reported.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from cli.heads import Head, Studio, Turn
from client.recording import encode_jpeg
from inference_workers.engines.gains import Gains, Point, curve_of
from inference_workers.engines.landmarker import Landmarker
from inference_workers.engines.protocols import FaceInput
from inference_workers.pictures import decode
from runtime.errors import PrerequisiteError
from schemas.records import FaceSignal
from schemas.vocabulary import BLENDSHAPES

FPS: Final = 30
SEGMENT: Final = 16
"""Pictures of one expression of the act."""
AT_ONCE: Final = 4
"""Groups of channels that an expression moves."""
LEVELS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
POSE_MAE_DEG: Final = 3.0
ANSWERS_FROM: Final = 0.3
"""A channel whose reading correlates less with what was shown is told as one that does not answer."""
STUDIOS: Final = (Studio(), Studio(light=(-0.6, 0.3, 0.8), ambient=0.35, tint=(0.75, 0.7, 0.68)))
TAKES: Final = (
    (Turn(), STUDIOS[0]), (Turn(12.0, 4.0, 0.0), STUDIOS[1]), (Turn(-12.0, -4.0, 3.0), STUDIOS[0]),
    (Turn(0.0, -10.0, -4.0), STUDIOS[1]),
)  # fmt: skip
UNSEEN: Final = frozenset({"tongueOut"})
"""Channels that the network does not have."""

# The landmark network relies on brows and lips, which heads without textures lack. Their outlines in its own landmarks
# (MediaPipe, face_mesh_connections): the upper and lower edge of each brow, and the lips' outer edge.
RIGHT_BROW: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW: Final = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
BROW_COLOUR: Final = (0.22, 0.14, 0.10)
LIP_COLOUR: Final = (0.62, 0.28, 0.26)

Rows = npt.NDArray[np.float64]


def groups(shapes: frozenset[str]) -> list[tuple[str, ...]]:
    """Channels that are moved together: a left one with its right one, the others alone."""
    found: list[tuple[str, ...]] = []
    for name in BLENDSHAPES:
        if name not in shapes or name in UNSEEN:
            continue
        other = name.removesuffix("Left") + "Right"
        if name.endswith("Left") and other in BLENDSHAPES and name not in {"jawLeft", "mouthLeft"}:
            found.append((name, other))
        elif not (name.endswith("Right") and name not in {"jawRight", "mouthRight"}):
            found.append((name,))
    return found


@dataclass(frozen=True)
class Shot:
    """One picture's truth."""

    weights: Mapping[str, float]
    turn: Turn
    studio: Studio


def act(shapes: frozenset[str], pictures: int, seed: int) -> Iterator[Shot]:
    """Expressions of several channels that come and go on half cosines, each side a little apart; a head that turns."""
    rng = np.random.default_rng(seed)
    known = groups(shapes)
    order: list[tuple[str, ...]] = []
    targets: dict[str, float] = {}
    phases = rng.uniform(0, 2 * np.pi, 6)
    studio = STUDIOS[0]
    for number in range(pictures):
        if number % SEGMENT == 0:
            targets = {}
            for _ in range(AT_ONCE):
                if not order:
                    order = [known[i] for i in rng.permutation(len(known))]
                level = rng.uniform(0.3, 1.0)
                targets |= {name: float(np.clip(level + rng.uniform(-0.15, 0.15), 0, 1)) for name in order.pop()}
            studio = STUDIOS[int(rng.integers(len(STUDIOS)))]
        share = 0.5 - 0.5 * math.cos(2 * math.pi * (number % SEGMENT + 1) / (SEGMENT + 1))
        at = 2 * np.pi * number / FPS
        turn = Turn(
            float(14 * np.sin(at / 5.3 + phases[0]) + 6 * np.sin(at / 2.1 + phases[1])),
            float(9 * np.sin(at / 4.1 + phases[2]) + 3 * np.sin(at / 1.7 + phases[3])),
            float(8 * np.sin(at / 6.7 + phases[4]) + 3 * np.sin(at / 2.9 + phases[5])),
        )
        yield Shot({name: share * target for name, target in targets.items()}, turn, studio)


class Camera:
    """Films a head and has it read, followed as one session."""

    def __init__(self, engine: Landmarker, head: Head) -> None:
        self._engine = engine
        self._head = head
        self._state: Any = None
        self._number = 0

    def read(self, shot: Shot, *, alone: bool = False) -> FaceSignal:
        """What the engine says of the shot; ``alone``: as the first picture of a session."""
        picture = decode(encode_jpeg(self._head.render(shot.weights, shot.turn, shot.studio)))
        state = None if alone else self._state
        (output,) = self._engine.infer([FaceInput(picture, self._number * 1_000_000 // FPS, state)])
        self._number += 1
        self._state = output.state
        return output.signal


def make_up(head: Head, engine: Landmarker) -> None:
    """Paint brows and lips on a head that has no colours of its own; PrerequisiteError if no face is seen in it."""
    if not head.plain:
        return
    studio = Studio(size_px=960)
    landmarks = engine.landmarks_of(head.render({}, Turn(), studio))
    if landmarks is None:
        raise PrerequisiteError(f"no face is seen in {head.name}: a head that looks like a person's is needed")
    for outline, colour in ((RIGHT_BROW, BROW_COLOUR), (LEFT_BROW, BROW_COLOUR), (LIPS, LIP_COLOUR)):
        mask = np.zeros((studio.size_px, studio.size_px), np.uint8)
        cv2.fillPoly(mask, [np.rint(landmarks[list(outline), :2]).astype(np.int32)], 255)
        head.paint(np.asarray(cv2.GaussianBlur(mask, (9, 9), 2.0), np.uint8), colour, studio)


@dataclass(frozen=True)
class Channel:
    """How one channel is read."""

    corr: float
    error: float
    """Mean absolute, over the whole act."""
    full: float
    """What is read of it at weight 1 alone, from the front."""


@dataclass(frozen=True)
class Loop:
    """What came back of what was shown."""

    n: int
    head: str
    engine: str
    channels: Mapping[str, Channel]
    pose_mae_deg: Mapping[str, float]
    """Yaw, pitch, roll; without the head's own offset."""
    pose_offset_deg: Mapping[str, float]
    """What is read of the head that looks straight ahead: where level is on a head is a convention of who made it."""
    lost: int
    """Pictures in which no face was seen."""

    @property
    def corr_median(self) -> float:
        """Over the channels that were shown."""
        return float(np.median([channel.corr for channel in self.channels.values()]))

    @property
    def error_median(self) -> float:
        """The same of the errors."""
        return float(np.median([channel.error for channel in self.channels.values()]))

    def keys(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "n": self.n,
            "pose_mae_deg": max(self.pose_mae_deg.values()),
            "corr_median": self.corr_median,
            "error_median": self.error_median,
            "pose": asdict_of(self.pose_mae_deg),
            "pose_offset_deg": asdict_of(self.pose_offset_deg),
            "blendshapes": {name: asdict(channel) for name, channel in self.channels.items()},
            "head": self.head,
            "engine": self.engine,
            "lost": self.lost,
            "at": datetime.now(UTC).isoformat(timespec="minutes"),
        }


def asdict_of(values: Mapping[str, float]) -> dict[str, float]:
    """Rounded for people who read JSON."""
    return {name: round(value, 3) for name, value in values.items()}


def evaluate(engine: Landmarker, head: Head, pictures: int, seed: int, progress: Callable[[str], None]) -> Loop:
    """Play the act and compare; raises PrerequisiteError if the engine does not see a face in the head."""
    camera = Camera(engine, head)
    level = camera.read(Shot({}, Turn(), STUDIOS[0]), alone=True)
    if not level.face_detected:
        raise PrerequisiteError(f"no face is seen in {head.name}: a head that looks like a person's is needed")
    shown, read, turned, seen, lost = [], [], [], [], 0
    for number, shot in enumerate(act(head.shapes, pictures, seed)):
        signal = camera.read(shot)
        if not signal.face_detected:
            lost += 1
            continue
        shown.append([shot.weights.get(name, 0.0) for name in BLENDSHAPES])
        read.append(signal.blendshapes)
        turned.append((shot.turn.yaw_deg, shot.turn.pitch_deg, shot.turn.roll_deg))
        seen.append((signal.yaw_deg, signal.pitch_deg, signal.roll_deg))
        if number and number % 300 == 0:
            progress(f"{number} of {pictures} pictures")
    offset = np.array([level.yaw_deg, level.pitch_deg, level.roll_deg])
    errors = np.abs(np.array(seen) - offset - np.array(turned)).mean(axis=0)
    axes = ("yaw", "pitch", "roll")
    full: dict[str, float] = {}
    for group in groups(head.shapes):
        alone = camera.read(Shot(dict.fromkeys(group, 1.0), Turn(), STUDIOS[0]), alone=True).blendshapes
        full |= {name: alone[BLENDSHAPES.index(name)] for name in group}
    return Loop(
        n=len(shown), head=head.name, engine=engine.source, channels=_channels(np.array(shown), np.array(read), full),
        pose_mae_deg=dict(zip(axes, errors.tolist(), strict=True)),
        pose_offset_deg=dict(zip(axes, offset.tolist(), strict=True)), lost=lost,
    )  # fmt: skip


def _channels(shown: Rows, read: Rows, full: Mapping[str, float]) -> dict[str, Channel]:
    found = {}
    for number, name in enumerate(BLENDSHAPES):
        truth, said = shown[:, number], read[:, number]
        if truth.std() == 0:
            continue
        corr = 0.0 if said.std() < 1e-6 else float(np.corrcoef(truth, said)[0, 1])
        found[name] = Channel(corr, float(np.abs(truth - said).mean()), full[name])
    return found


def fit(engine: Landmarker, heads: Sequence[Head], progress: Callable[[str], None]) -> Gains:
    """Curves from sweeps over these heads. ``engine`` must give scores as they are."""
    rests = [_takes(engine, head, {}) for head in heads]
    curves: dict[str, Sequence[Point]] = {}
    for group in sorted({group for head in heads for group in groups(head.shapes)}):
        indices = [BLENDSHAPES.index(name) for name in group]
        sweep = [np.concatenate([rest[:, indices].ravel() for rest in rests])]
        for level in LEVELS[1:]:
            able = [head for head in heads if set(group) <= head.shapes]
            takes = [_takes(engine, head, dict.fromkeys(group, level)) for head in able]
            sweep.append(np.concatenate([take[:, indices].ravel() for take in takes]))
        medians = [float(np.median(values)) for values in sweep]
        curve = curve_of(LEVELS, medians)
        if curve is not None:
            curves |= dict.fromkeys(group, curve)
        progress(f"{group[0]}: {', '.join(f'{value:.3f}' for value in medians)}{'' if curve else ' (no answer)'}")
    return Gains({name: curves[name] for name in BLENDSHAPES if name in curves})


def _takes(engine: Landmarker, head: Head, weights: Mapping[str, float]) -> Rows:
    """What is read of these weights, a row a take in which a face was seen."""
    camera = Camera(engine, head)
    read = [camera.read(Shot(weights, turn, studio), alone=True) for turn, studio in TAKES]
    return np.array([signal.blendshapes for signal in read if signal.face_detected])


def show(loop: Loop, console: Console) -> None:
    """Print the tables."""
    console.print(f"[bold]loop[/bold]: {loop.n} pictures of {loop.head}, read by {loop.engine}")
    table = Table("blendshape", "correlation", "error", "reads at 1")
    for name, channel in sorted(loop.channels.items(), key=lambda item: -item[1].corr):
        style = "dim" if channel.corr < ANSWERS_FROM else ""
        table.add_row(name, f"{channel.corr:.2f}", f"{channel.error:.3f}", f"{channel.full:.2f}", style=style)
    console.print(table)
    console.print(
        f"median correlation {loop.corr_median:.2f}, median error {loop.error_median:.3f}; dim: does not answer"
    )
    pose = ", ".join(f"{axis} {value:.1f}" for axis, value in loop.pose_mae_deg.items())
    offset = ", ".join(f"{axis} {value:.1f}" for axis, value in loop.pose_offset_deg.items())
    console.print(f"pose error {pose} degrees (aim: at most {POSE_MAE_DEG:g}); straight ahead reads {offset}")
    if loop.lost:
        console.print(f"no face was seen in {loop.lost} pictures")


def default_head(root: Path) -> Path:
    """Our own avatar; raises PrerequisiteError if the page was not built."""
    path = root / "web" / "public" / "models" / "avatar.glb"
    if not path.exists():
        raise PrerequisiteError(f"{path} is missing: run `make web`, or give a head with --head FILE.glb")
    return path
