"""What a face engine and a speech engine promise. One file of this folder is one engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_geometry import Box, Detection, Pose, Roi
from inference_workers.facial_affect import Affect
from schemas.records import FaceSignal, Vector
from schemas.vocabulary import AUS

Picture = NDArray[np.uint8]
"""Height x width x 3, blue-green-red as OpenCV decodes it, C-contiguous."""

Samples = NDArray[np.float32]
"""Sound, -1..1, 16 kHz mono."""


@dataclass(frozen=True, slots=True)
class FaceInput:
    """One session's next picture, and what the engine remembers of that session (None: nothing yet)."""

    picture: Picture
    captured_at_us: int
    state: Any = None


@dataclass(frozen=True, slots=True)
class FaceOutput:
    """What the picture says, and the state to give with the session's next picture.

    ``source``: who answered, if that is another than the engine that was asked.
    """

    signal: FaceSignal
    state: Any
    source: str = ""


class FaceEngine(Protocol):
    """Reads faces from pictures. Holds no session: what it wants to remember of one is in the state it returns.

    Not bound to a thread, but to be called from one at a time. Any exception from :meth:`infer` is taken to concern
    the batch; the caller tries its members one by one.
    """

    @property
    def source(self) -> str:
        """Name and version, for example ``landmarker@1``."""
        ...

    @property
    def max_batch(self) -> int:
        """How many pictures are worth inferring together; 1 if batching gains nothing."""
        ...

    def warm_up(self) -> None:
        """Run every network once, so that the first picture costs no more than the others."""
        ...

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        """One output an input, in order. The pictures are of different sessions. Blocks for the inference."""
        ...


class FaceDetector(Protocol):
    """Finds faces. Stateless."""

    def warm_up(self) -> None:
        """Run once, so that the first picture costs no more than the others."""
        ...

    def find(self, picture: Picture) -> list[Detection]:
        """Every face, the largest first."""
        ...


class FacePose(Protocol):
    """Reads a head's pose from a face that was found. Stateless."""

    def warm_up(self) -> None:
        """Run once."""
        ...

    def pose(self, picture: Picture, box: Box) -> Pose:
        """The pose of the head whose landmarks fill this box. Blocks for the inference."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What heads say of one face; None and absent: they do not say.

    ``scores`` as schemas.vocabulary.EMOTIONS, sum 1; the three axes -1..1; ``aus``: intensities 0..1 by the AU's name.
    """

    scores: Vector | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    aus: Mapping[str, float] = field(default_factory=dict)

    def over_aus(self, intensities: Vector) -> Vector:
        """Intensities (schemas.vocabulary.AUS) with what is said in place of them."""
        return tuple(self.aus.get(name, value) for name, value in zip(AUS, intensities, strict=True))

    def over_affect(self, affect: Affect) -> Affect:
        """An affect with the axes that are said in place of its own."""
        said = {axis: getattr(self, axis) for axis in ("valence", "arousal", "dominance")}
        return replace(affect, **{axis: value for axis, value in said.items() if value is not None})


SAYS_NOTHING: Final = Told()


Face = tuple[Picture, Roi]
"""A face that was found: its picture, and the region that its landmarks fill."""


class FaceHeads(Protocol):
    """Networks that read emotions, affect or AUs from faces that were found. Stateless.

    Any exception from :meth:`read` is taken to concern the batch, but for a ModelServerError, which concerns whoever
    serves the networks: to ask for the faces one by one is in vain.
    """

    @property
    def tells_emotions(self) -> bool:
        """Whether the scores of emotions are among what is said."""
        ...

    @property
    def max_batch(self) -> int:
        """How many faces are worth reading together; 1 if batching gains nothing."""
        ...

    def warm_up(self) -> None:
        """Run every network once; raises ModelServerError if one is served and cannot be asked now."""
        ...

    def read(self, faces: Sequence[Face]) -> Sequence[Told]:
        """What each face says, in order. Blocks for the inference."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechEmotion:
    """What one window of speech says. ``scores`` (schemas.vocabulary.EMOTIONS) and ``unknown`` sum to 1.

    ``source``: who answered, if that may be another than the engine that was asked; ``degraded``: a fall-back did.
    """

    scores: Vector
    unknown: float
    confidence: float
    valence: float
    arousal: float
    dominance: float
    source: str = ""
    degraded: bool = False


class SpeechEngine(Protocol):
    """Reads emotion from windows of speech. Stateless."""

    @property
    def source(self) -> str:
        """Name and version."""
        ...

    @property
    def max_batch(self) -> int:
        """How many windows are worth inferring together."""
        ...

    def warm_up(self) -> None:
        """Run every network once."""
        ...

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        """One answer a window, in order; each window is 16,000 samples, 1 s. Blocks for the inference."""
        ...


class MouthMemory(Protocol):
    """What a viseme engine remembers of one session."""

    def fall_silent(self) -> None:
        """The sound that comes now does not continue what was heard: forget the sound, not the voice."""
        ...


class VisemeEngine(Protocol):
    """Reads mouth shapes from the newest sound. Holds no session: what it remembers of one is with the caller.

    Any exception from :meth:`infer` is taken to concern the batch; the caller then reads it by another engine.
    """

    @property
    def source(self) -> str:
        """Name and version."""
        ...

    def begin(self) -> Any:
        """What is remembered of a session of which nothing was heard: a :class:`MouthMemory`."""
        ...

    def warm_up(self) -> None:
        """Run every network once."""
        ...

    def infer(
        self, sounds: Samples, memories: Sequence[Any], speaking: Sequence[float]
    ) -> Sequence[tuple[Vector, float]]:
        """Weights (schemas.vocabulary.VISEMES, sum 1) and a confidence for the newest hop of each session.

        ``sounds`` is (n, speech.viseme.SPAN): the hop's 640 samples and the 240 before it; ``speaking`` the sessions'
        speaking probabilities. A session's answer does not depend on the others in the batch.
        """
        ...
