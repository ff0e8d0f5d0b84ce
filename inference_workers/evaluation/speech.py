"""How well the speech engine tells emotions, by corpus and by whether its model ever heard the speaker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.embedded_speech import answer_of
from inference_workers.engines.protocols import SpeechEmotion, SpeechEngine
from inference_workers.evaluation.calibration import best_temperature
from inference_workers.evaluation.scores import Scores
from inference_workers.probabilities import softmax
from inference_workers.speech import emotion
from inference_workers.speech.features import SAMPLE_RATE_HZ, analysed, voiced_fraction
from inference_workers.training import corpus, speech_emotion, speech_noise
from inference_workers.training.corpus import Clip
from schemas.vocabulary import EMOTIONS

WINDOW: Final = SAMPLE_RATE_HZ
STEP: Final = SAMPLE_RATE_HZ // 4
VOICED_AT_LEAST: Final = 0.15
"""Windows with less voice are left out, unless a clip has no others: live they get no answer either."""
TRAINED_ON: Final = frozenset({"03", "08", "09", "10", "11", "12", "13", "14"})
"""Speakers of EMO-DB that the shipped model was trained on: see ``weights/speech_emotion.md``."""

VARIATIONS: Final = speech_emotion.VARIATIONS
SEED: Final = 0
"""With which the shipped model was trained."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A clip and the mean of the scores of its windows, as in :data:`schemas.vocabulary.EMOTIONS`."""

    clip: Clip
    scores: NDArray[np.float64]

    @property
    def answer(self) -> str:
        """The emotion with the best score."""
        return EMOTIONS[int(self.scores.argmax())]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the clips, in words."""

    title: str
    speakers: tuple[str, ...]
    scores: Scores
    known: Scores
    """Without the clips of emotions that the engine cannot name."""


def answers(engine: SpeechEngine, clips: Sequence[Clip], progress: Callable[[str], None]) -> Sequence[Answered]:
    """Every clip of one of our emotions, answered by the engine alone: 1 s windows every 250 ms."""
    found = []
    asked = [clip for clip in clips if clip.label in EMOTIONS]
    for number, clip in enumerate(asked, start=1):
        samples = corpus.load(clip.path)
        samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
        windows = [samples[start : start + WINDOW] for start in range(0, len(samples) - WINDOW + 1, STEP)]
        windows = [window for window in windows if voiced_fraction(window) >= VOICED_AT_LEAST] or windows
        scores = np.array([answer.scores for answer in engine.infer(windows)], np.float64)
        found.append(Answered(clip, scores.mean(axis=0)))
        if number % 200 == 0:
            progress(f"{number} of {len(asked)} clips")
    return found


class TrainedHere:
    """The embedded engine with models that were trained in this process; see ``SpeechEngine``."""

    source: Final = "embedded-speech@0"
    max_batch: Final = 32

    def __init__(self, model: speech_emotion.Model, in_noise: speech_emotion.Model) -> None:
        self._model = model
        self._in_noise = in_noise

    def warm_up(self) -> None:
        """Nothing to warm."""

    def infer(self, windows: Sequence[NDArray[np.float32]]) -> Sequence[SpeechEmotion]:
        heard = [analysed(window) for window in windows]
        features = np.stack([each.features for each in heard]).astype(np.float64)
        quiet = np.array([emotion.quietness(each.audibility_db) for each in heard])
        both = emotion.blended(softmax(self._model.logits(features)), softmax(self._in_noise.logits(features)), quiet)
        answers = zip(both.tolist(), heard, quiet.tolist(), strict=True)
        return [answer_of(tuple(row), each.voiced, share) for row, each, share in answers]


def without_each(
    clips: Sequence[Clip], progress: Callable[[str], None], *, folds: int | None = None, variations: int = VARIATIONS
) -> Mapping[str, SpeechEngine]:
    """For each speaker an engine whose models never heard them, by the recipes of the shipped ones.

    ``folds``: so many groups of speakers are left out together; default: each alone. ``variations``: of each clip;
    those in noise are more in proportion. Temperatures are those of all the answers together, as of the shipped models.
    """
    speakers = sorted({clip.speaker for clip in clips})
    groups = [group.tolist() for group in np.array_split(np.array(speakers), folds or len(speakers)) if len(group)]
    progress(f"features of {len(clips)} clips and {variations} variations of each")
    quiet = _trained(speech_emotion.cut(clips, variations, SEED), groups, progress)
    in_noise = round(variations * speech_noise.VARIATIONS / speech_emotion.VARIATIONS)
    progress(f"features of {in_noise} variations in noise")
    noisy = _trained(speech_emotion.cut(clips, in_noise, SEED, noisy=True), groups, progress)
    return {name: TrainedHere(model, noisy[name]) for name, model in quiet.items()}


def _trained(
    windows: speech_emotion.Windows, groups: Sequence[Sequence[str]], progress: Callable[[str], None]
) -> Mapping[str, speech_emotion.Model]:
    """For each speaker a model that never heard anybody of their group."""
    trained: dict[str, speech_emotion.Model] = {}
    logits = np.zeros((len(windows.labels), len(emotion.CLASSES)))
    for group in groups:
        progress(f"training without {', '.join(group)}")
        apart = np.isin(windows.speakers, group)
        model = speech_emotion.fit(windows.where(~apart), SEED)
        logits[apart] = model.logits(windows.features[apart])
        trained.update(dict.fromkeys(group, model))
    temperature = best_temperature(logits, windows.labels)
    return {name: replace(model, temperature=temperature) for name, model in trained.items()}


def left_out(
    clips: Sequence[Clip], progress: Callable[[str], None], variations: int = VARIATIONS
) -> Sequence[Answered]:
    """Every clip of one of our emotions, answered by a model that is trained here without the clip's speaker."""
    engines = without_each(clips, progress, variations=variations)
    return [
        answered
        for speaker, engine in engines.items()
        for answered in answers(engine, [clip for clip in clips if clip.speaker == speaker], progress)
    ]


def was_heard(clip: Clip) -> bool:
    """Whether the shipped model was trained on the clip's speaker."""
    return bool(corpus.EMODB_NAME.match(clip.path.stem)) and clip.speaker in TRAINED_ON


def part(title: str, answered: Sequence[Answered], nameable: Sequence[str] = EMOTIONS) -> Part:
    """Scores of some clips; ``nameable`` are the emotions that the engine can answer."""

    def scored(chosen: Sequence[Answered]) -> Scores:
        truth = [EMOTIONS.index(each.clip.label) for each in chosen]
        return Scores.of(EMOTIONS, truth, [int(each.scores.argmax()) for each in chosen])

    speakers = tuple(sorted({each.clip.speaker for each in answered}))
    return Part(title, speakers, scored(answered), scored([a for a in answered if a.clip.label in nameable]))


def keys(headline: Part, parts: Sequence[Part]) -> dict[str, Any]:
    """For ``--json``: the headline's figures, and each part's."""

    def of(scores: Scores) -> dict[str, Any]:
        return {"n": scores.n, "macro_f1": round(scores.macro_f1, 4), "uar": round(scores.uar, 4)}

    return {
        **of(headline.scores),
        "of": headline.title,
        "accuracy": round(headline.scores.accuracy, 4),
        "per_class": {
            name: {"recall": round(recall, 4), "f1": round(headline.scores.f1s[name], 4)}
            for name, recall in headline.scores.recalls.items()
        },
        "parts": {each.title: {**of(each.scores), "speakers": list(each.speakers)} for each in parts},
    }


def corpus_name(folder: Path, clips: Sequence[Clip]) -> str:
    """EMO-DB or RAVDESS by the files' names, else the folder's."""
    if all(corpus.EMODB_NAME.match(clip.path.stem) for clip in clips):
        return "EMO-DB"
    if all(corpus.RAVDESS_NAME.match(clip.path.stem) for clip in clips):
        return "RAVDESS"
    return folder.resolve().name
