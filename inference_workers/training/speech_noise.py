"""Train the speech model for noise: ``python -m inference_workers.training.speech_noise --data DIR``.

It is made as the one for quiet surroundings (:mod:`inference_workers.training.speech_emotion`), but of more variations,
many of them in noise down to -5 dB. That one answers worse where it is quiet, so both are shipped, and the audibility
of the voice decides between them (:mod:`inference_workers.speech.audibility`).

What is printed comes from leaving each speaker out, clean and with noise added: how often each model and the two
together are right, and what their confidence is worth. The same data, seed and library versions give the same file.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.evaluation.calibration import best_temperature, confidence_error
from inference_workers.evaluation.scores import Scores
from inference_workers.probabilities import softmax
from inference_workers.speech import emotion
from inference_workers.speech.features import Analysed, analysed, voiced_fraction
from inference_workers.training import augment, corpus, speech_emotion
from inference_workers.training.speech_emotion import STEP, VOICED_AT_LEAST, WINDOW, Windows, say

Array = NDArray[np.float64]

SNRS_DB: Final = (None, 20.0, 10.0, 5.0, 0.0, -5.0)
VARIATIONS: Final = 8
KNOWN: Final = len(emotion.CLASSES) - 1
"""Classes that are emotions: the last is ``unknown``."""
OUT: Final = speech_emotion.OUT.with_name("speech_emotion_noise.onnx")


@dataclass(frozen=True, slots=True)
class Noisy:
    """Windows of one signal-to-noise ratio."""

    features: Array
    voiced: Array
    audibility_db: Array
    labels: NDArray[np.int64]
    speakers: NDArray[np.str_]


def windows_in_noise(clips: Sequence[corpus.Clip], snr_db: float | None, seed: int) -> Noisy:
    """The windows of clips of our emotions in which there is voice, with noise that is drawn for each clip."""
    rows: list[tuple[Analysed, int, str]] = []
    for index, clip in enumerate(clips):
        if clip.label not in emotion.CLASSES[:KNOWN]:
            continue
        clean = corpus.load(clip.path)
        clean = np.pad(clean, (0, max(0, WINDOW - len(clean))))
        mixed = clean
        if snr_db is not None:
            random = np.random.default_rng([seed, index])
            mixed = augment.with_noise(clean.astype(np.float64), snr_db, random).clip(-1.0, 1.0).astype(np.float32)
        for start in range(0, len(clean) - WINDOW + 1, STEP):
            part = slice(start, start + WINDOW)
            if voiced_fraction(clean[part]) >= VOICED_AT_LEAST:
                rows.append((analysed(mixed[part]), emotion.CLASSES.index(clip.label), clip.speaker))
    heard, labels, speakers = zip(*rows, strict=True)
    return Noisy(
        np.stack([each.features for each in heard]).astype(np.float64),
        np.array([each.voiced for each in heard]),
        np.array([each.audibility_db for each in heard]),
        np.array(labels),
        np.array(speakers),
    )


def answers_of(windows: Windows, by_noise: Sequence[Noisy], seed: int) -> tuple[Sequence[Array], float]:
    """Probabilities for every noisy window from a model of these windows without its speaker; their temperature."""
    own = np.zeros((len(windows.labels), len(emotion.CLASSES)))
    theirs = [np.zeros((len(noisy.labels), len(emotion.CLASSES))) for noisy in by_noise]
    for speaker in np.unique(windows.speakers):
        apart = windows.speakers == speaker
        model = speech_emotion.fit(windows.where(~apart), seed)
        own[apart] = model.logits(windows.features[apart])
        for logits, noisy in zip(theirs, by_noise, strict=True):
            rows = noisy.speakers == speaker
            logits[rows] = model.logits(noisy.features[rows])
        say(f"  without speaker {speaker}")
    temperature = best_temperature(own, windows.labels)
    return [softmax(logits / temperature) for logits in theirs], temperature


def quietness(noisy: Noisy) -> Array:
    """How much the model for quiet surroundings counts for each window, 0..1."""
    return np.array([emotion.quietness(each) for each in noisy.audibility_db.tolist()])


def told(noisy: Noisy, probabilities: Array, quiet: Array) -> str:
    """UAR, share right, mean confidence and its calibration error; ``quiet``: as of :func:`quietness`."""
    scores = probabilities[:, :KNOWN]
    answers = scores.argmax(axis=1)
    uar = Scores.of(emotion.CLASSES[:KNOWN], noisy.labels.tolist(), answers.tolist()).uar
    rows = zip(scores.tolist(), noisy.voiced.tolist(), quiet.tolist(), strict=True)
    confidence = np.array([emotion.confidence_of(tuple(row), voiced, share) for row, voiced, share in rows])
    right = answers == noisy.labels
    return f"{uar:.3f} {right.mean():.3f} {confidence.mean():.3f} {confidence_error(confidence, right):.3f}"


def report(by_noise: Sequence[Noisy], quiet: Sequence[Array], in_noise: Sequence[Array]) -> None:
    """A row for each ratio, each alone and the two together."""
    say("| noise | windows | audible dB (1st of 100) | quiet alone: UAR right sure error | for noise alone | both |")
    say("| --- | --- | --- | --- | --- | --- |")
    for snr, noisy, first, second in zip(SNRS_DB, by_noise, quiet, in_noise, strict=True):
        low, middle = np.percentile(noisy.audibility_db, (1.0, 50.0))
        by_audibility = quietness(noisy)
        ones, zeros = np.ones(len(noisy.labels)), np.zeros(len(noisy.labels))
        figures = (
            told(noisy, first, ones),
            told(noisy, second, zeros),
            told(noisy, emotion.blended(first, second, by_audibility), by_audibility),
        )
        say(f"| {_named(snr)} | {len(noisy.labels)} | {middle:.1f} ({low:.1f}) | {' | '.join(figures)} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, report, write."""
    options = speech_emotion.parser("Train the speech emotion model for noise.", OUT, VARIATIONS).parse_args(arguments)
    speech_emotion.require_writer()
    clips = speech_emotion.clips_of(options)

    say(f"{len(clips)} clips: windows to be answered, at each noise")
    by_noise = [windows_in_noise(clips, snr, options.seed + 1) for snr in SNRS_DB]
    say("windows to train on, in quiet surroundings")
    quiet = speech_emotion.cut(clips, speech_emotion.VARIATIONS, options.seed)
    quiet_answers, _ = answers_of(quiet, by_noise, options.seed)
    say("windows to train on, in noise")
    windows = speech_emotion.cut(clips, options.variations, options.seed, noisy=True)
    answers, temperature = answers_of(windows, by_noise, options.seed)
    report(by_noise, quiet_answers, answers)
    say(f"\ntemperature {temperature:.3f}")
    speech_emotion.write(options.out, replace(speech_emotion.fit(windows, options.seed), temperature=temperature))
    return 0


def _named(snr_db: float | None) -> str:
    return "clean" if snr_db is None else f"{snr_db:.0f} dB"


if __name__ == "__main__":
    sys.exit(main())
