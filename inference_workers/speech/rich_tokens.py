"""What SenseVoice's output says: emotions, language, audio event, and when tokens were spoken. Pure.

SenseVoice answers with one row of logits for each of its four queries (language, emotion, audio event, text style) and
then one for each 60 ms of sound (An et al., FunAudioLLM, 2024). It decides each of the first by the best token; here
the whole distribution is kept: the softmax over those tokens that answer the query. The ids of tokens are read from the
model's own list, since models differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.protocols import SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.probabilities import softmax
from runtime.errors import ModelError
from schemas.vocabulary import EMOTIONS

Logits = NDArray[np.float32]
Ids = NDArray[np.int64]

LANGUAGE_ROW: Final = 0
EMOTION_ROW: Final = 1
EVENT_ROW: Final = 2
QUERIES: Final = 4
"""Rows before the first 60 ms of sound."""
FRAME_MS: Final = 60
LEAD_MS: Final = 30
"""A row's sound is centred on its start: FunASR's own timestamps are shifted back by this much."""
BLANK: Final = 0

NAMES: Final = {
    "neutral": "NEUTRAL",
    "happy": "HAPPY",
    "sad": "SAD",
    "angry": "ANGRY",
    "surprise": "SURPRISED",
    "fear": "FEARFUL",
    "disgust": "DISGUSTED",
}
"""SenseVoice's word for each of our emotions."""
NONE_OF_OURS: Final = ("EMO_UNKNOWN", "OTHER", "EMO_OTHER")
"""Answers that are none of our emotions; the first is in every model."""
LANGUAGES: Final = ("zh", "en", "yue", "ja", "ko", "nospeech")
EVENTS: Final = (
    "Speech", "BGM", "Laughter", "Applause", "Cry", "Sneeze", "Breath", "Cough", "Sing", "Speech_Noise", "GBG",
    "Event_UNK",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """A token of the CTC alignment, without what it is: in ms from the start of the window."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one window says. ``scores`` (order of EMOTIONS) and ``unknown`` sum to 1."""

    scores: tuple[float, ...]
    unknown: float
    speech: float
    """Probability that somebody speaks at all, by the language query."""
    language: str
    event: str
    tokens: tuple[Spoken, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ids of the tokens that answer the queries."""

    emotions: Ids
    """Those of EMOTIONS in order, then those of :data:`NONE_OF_OURS` that the model has."""
    languages: Ids
    language_names: tuple[str, ...]
    events: Ids
    event_names: tuple[str, ...]
    size: int

    @classmethod
    def of(cls, tokens: Sequence[str], where: str) -> "Vocabulary":
        """Find the ids in a model's list of tokens; ModelError that names what is missing and ``where``."""
        places = {token: place for place, token in enumerate(tokens)}

        def ids(names: Sequence[str]) -> Ids:
            return np.asarray([places[f"<|{name}|>"] for name in names], np.int64)

        wanted = [NAMES[emotion] for emotion in EMOTIONS] + [NONE_OF_OURS[0], *LANGUAGES]
        missing = [name for name in wanted if f"<|{name}|>" not in places]
        events = [name for name in EVENTS if f"<|{name}|>" in places]
        if missing or not events:
            what = ", ".join(f"<|{name}|>" for name in missing) or "audio events"
            raise ModelError(f"{where}: its {len(tokens)} tokens are not SenseVoice's, they lack {what}")
        others = [name for name in NONE_OF_OURS if f"<|{name}|>" in places]
        return cls(
            emotions=ids([NAMES[emotion] for emotion in EMOTIONS] + others),
            languages=ids(LANGUAGES),
            language_names=LANGUAGES,
            events=ids(events),
            event_names=tuple(events),
            size=len(tokens),
        )

    def reading(self, languages: Logits, emotions: Logits, events: Logits, path: Ids) -> Reading:
        """What the logits say, given each query's own tokens only, in this vocabulary's order.

        ``path``: the best token of each 60 ms of sound.
        """
        feelings = softmax(emotions)
        tongues = softmax(languages)
        spoken = self.language_names.index("nospeech")
        return Reading(
            scores=tuple(feelings[: len(EMOTIONS)].tolist()),
            unknown=float(feelings[len(EMOTIONS) :].sum()),
            speech=1.0 - float(tongues[spoken]),
            language=self.language_names[int(np.argmax(tongues))],
            event=self.event_names[int(np.argmax(events))],
            tokens=alignment(path),
        )


def felt(reading: Reading) -> SpeechEmotion:
    """The emotion of a reading. Where probably nobody speaks, it is not to be trusted."""
    affect = of_scores(reading.scores)
    return SpeechEmotion(
        scores=reading.scores,
        unknown=reading.unknown,
        confidence=max(reading.scores) * reading.speech,
        valence=affect.valence,
        arousal=affect.arousal,
        dominance=affect.dominance,
    )


def alignment(path: Ids) -> tuple[Spoken, ...]:
    """When each token of a greedy CTC path was spoken (Graves et al., 2006): runs of one token, blanks left out."""
    if len(path) == 0:
        return ()
    starts = np.flatnonzero(np.concatenate(([True], path[1:] != path[:-1])))
    ends = np.append(starts[1:], len(path))
    return tuple(
        Spoken(max(int(start) * FRAME_MS - LEAD_MS, 0), int(end) * FRAME_MS - LEAD_MS)
        for start, end in zip(starts, ends, strict=True)
        if path[start] != BLANK
    )
