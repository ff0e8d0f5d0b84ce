"""What a face engine and a speech engine promise. One file of this folder is one engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.records import FaceSignal, Vector

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
    """What the picture says, and the state to give with the session's next picture."""

    signal: FaceSignal
    state: Any


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
