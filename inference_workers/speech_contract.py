"""What a remote speech engine is asked and answers, as JSON over HTTP; docs/models.md describes it for others.

One request holds windows of several sessions, in no order that tells whose they are: no session, no subject, no time.
"""

from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, field_validator, model_validator

from inference_workers.engines.protocols import SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.speech.features import SAMPLE_RATE_HZ
from schemas.vocabulary import EMOTIONS

Samples = NDArray[np.float32]

PATH: Final = "/v1/speech/windows"
WINDOW_BYTES: Final = 2 * SAMPLE_RATE_HZ
MAX_WINDOWS: Final = 64
REQUEST_BYTES: Final = 4_000_000
"""More than :data:`MAX_WINDOWS` windows in base64."""
ANSWER_BYTES: Final = 1_000_000
SUM_TOLERANCE: Final = 0.01

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Open(BaseModel):
    """An answer may hold more than we know: servers are of other versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Question(_Strict):
    """Windows of 1 s each."""

    sample_rate_hz: Literal[16_000] = 16_000
    encoding: Literal["pcm_s16le"] = "pcm_s16le"
    windows: Annotated[list[Base64Bytes], Field(min_length=1, max_length=MAX_WINDOWS)]

    @field_validator("windows")
    @classmethod
    def _are_whole(cls, windows: list[bytes]) -> list[bytes]:
        for number, window in enumerate(windows):
            if len(window) != WINDOW_BYTES:
                raise ValueError(f"window {number} has {len(window)} bytes, not {WINDOW_BYTES}")
        return windows

    def samples(self) -> list[Samples]:
        """The windows as -1..1."""
        return [np.frombuffer(window, "<i2").astype(np.float32) / np.float32(32_768) for window in self.windows]


class Interval(_Open):
    """When a token was spoken, in ms from the start of the window."""

    start_ms: Annotated[int, Field(ge=0)]
    end_ms: Annotated[int, Field(ge=0)]


class WindowAnswer(_Open):
    """What one window says. ``scores`` (missing: 0) and ``unknown`` sum to 1."""

    scores: dict[str, Probability]
    unknown: Probability = 0.0
    confidence: Probability | None = None
    """None: the best score."""
    language: str | None = None
    event: str | None = None
    tokens: list[Interval] = []

    @model_validator(mode="after")
    def _is_a_distribution(self) -> "WindowAnswer":
        strange = sorted(set(self.scores) - set(EMOTIONS))
        if strange:
            raise ValueError(f"no emotions of ours: {', '.join(strange)}; ours are {', '.join(EMOTIONS)}")
        total = sum(self.scores.values()) + self.unknown
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise ValueError(f"scores and unknown sum to {total:.3f}, not to 1")
        return self

    def emotion(self, source: str) -> SpeechEmotion:
        """As an engine's answer, made to sum to 1 exactly."""
        total = sum(self.scores.values()) + self.unknown
        scores = tuple(self.scores.get(name, 0.0) / total for name in EMOTIONS)
        affect = of_scores(scores)
        return SpeechEmotion(
            scores=scores,
            unknown=self.unknown / total,
            confidence=max(scores) if self.confidence is None else self.confidence,
            valence=affect.valence,
            arousal=affect.arousal,
            dominance=affect.dominance,
            source=source,
        )


class Answer(_Open):
    """One answer a window, in order, and which engine gave them."""

    engine: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}@[0-9]{1,6}$")]
    windows: list[WindowAnswer]


def pcm(window: Samples) -> bytes:
    """A window as 16-bit samples; exact for sound that was such before."""
    return bytes(np.clip(np.rint(window * np.float32(32_768)), -32_768, 32_767).astype("<i2").tobytes())
