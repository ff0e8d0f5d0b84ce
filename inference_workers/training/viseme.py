"""Train the viseme network: ``affectstream train viseme``. Needs the extra ``train``.

A causal convolutional network over log mel frames (:mod:`inference_workers.speech.articulation`), trained on
synthetic speech (:mod:`inference_workers.training.spoken`) that is varied as real speech varies: speed, rooms,
microphones, lines, noise, gain. It answers for an instant ``look_ahead_ms`` before the end of what it hears. Languages
that are never trained on (:data:`HELD_OUT`) tell how far it has come; ``affectstream eval viseme`` measures all else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.signal import resample_poly

from inference_workers.speech import articulation
from inference_workers.speech.articulation import CONTEXT, FRAMES, LOWEST, Mouth
from inference_workers.speech.features import MELS, SAMPLE_RATE_HZ, STEP, frames, log_mel, power_spectrum
from inference_workers.speech.phones import UNLABELLED, Labels, Segment, labels_at
from inference_workers.training import augment
from inference_workers.training.spoken import Utterance
from schemas.vocabulary import VISEMES

Samples = NDArray[np.float64]

HELD_OUT: Final = ("fi", "pt")
SPEAKING_ON: Final = 3
"""Hops for which a voice detector goes on after the last phone, about."""
SILENCE: Final = VISEMES.index("sil")


@dataclass(frozen=True, slots=True)
class Examples:
    """Utterances end to end: frames (n, MELS) as the network sees them, and their labels, n for each look-ahead.

    Before each utterance lie CONTEXT frames of silence without a label, so no frame sees the utterance before its own.
    """

    frames: NDArray[np.float16]
    labels: NDArray[np.int8]
    """A row for each look-ahead."""
    held_out: NDArray[np.bool_]
    look_aheads_ms: tuple[int, ...]


def examples_of(utterances: Iterable[Utterance], look_aheads_ms: Sequence[int], variations: int, seed: int) -> Examples:
    """``variations`` random variations of each utterance."""
    rows: list[tuple[NDArray[np.float16], NDArray[np.int8], bool]] = []
    for number, utterance in enumerate(utterances):
        random = np.random.default_rng([seed, number])
        away = utterance.voice.partition("+")[0] in HELD_OUT
        for _ in range(variations):
            sound, phones = varied(utterance, random)
            seen, labels = seen_and_labelled(sound, phones, look_aheads_ms, random)
            rows.append((seen, labels, away))
    frames_, labels_, away_ = zip(*rows, strict=True)
    return Examples(
        np.concatenate(frames_),
        np.concatenate(labels_, axis=1),
        np.concatenate([np.full(len(f), out) for f, out in zip(frames_, away_, strict=True)]),
        tuple(look_aheads_ms),
    )


def varied(utterance: Utterance, random: np.random.Generator) -> tuple[Samples, Sequence[Segment]]:
    """Sound and phones of one random variation, with silence before and after."""
    speed = int(random.integers(85, 119))
    sound = resample_poly(utterance.sound, 100, speed)
    # Fourier transforms are most of the work: lengths without large prime factors.
    sound = np.pad(sound, (0, next_fast_len(len(sound), real=True) - len(sound)))
    before_s, after_s = random.uniform(0.05, 0.8, 2)
    before, after = int(before_s * SAMPLE_RATE_HZ), int(after_s * SAMPLE_RATE_HZ)
    after += next_fast_len(before + len(sound) + after, real=True) - before - len(sound) - after
    length = (before + len(sound) + after) / SAMPLE_RATE_HZ
    at_s = before / SAMPLE_RATE_HZ
    phones = [Segment(at_s + p.start_s * 100 / speed, at_s + p.end_s * 100 / speed, p.name) for p in utterance.phones]
    phones = [Segment(0.0, phones[0].start_s, ""), *phones, Segment(phones[-1].end_s, length, "")]
    if random.random() < 0.6:
        sound = augment.in_a_room(sound, reverberation_s=float(random.uniform(0.08, 0.5)), random=random)
    sound = augment.equalised(sound, decibel=float(random.uniform(0.0, 9.0)), random=random)
    sound = augment.tilted(sound, decibel=float(random.uniform(-9.0, 9.0)))
    level = float(np.sqrt(np.mean(sound**2)))
    sound = np.concatenate((np.zeros(before), sound, np.zeros(after)))
    noise = augment.with_noise(np.zeros(len(sound)) + 1e-9 * random.normal(size=len(sound)), snr_db=0.0, random=random)
    noise = noise * (level / (float(np.sqrt(np.mean(noise**2))) + 1e-30))
    sound = sound + noise * 10.0 ** (-random.uniform(5.0, 50.0) / 20.0)
    if random.random() < 0.3:
        sound = augment.band_limited(sound, float(random.uniform(60, 300)), float(random.uniform(3_400, 7_500)))
    gain = 10.0 ** (random.uniform(-45.0, -12.0) / 20.0) / (level + 1e-9)
    return (sound * gain).clip(-1.0, 1.0), phones


def seen_and_labelled(
    sound: Samples, phones: Sequence[Segment], look_aheads_ms: Sequence[int], random: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    """Frames as a session's :class:`Mouth` has them, hop by hop, and the labels of each look-ahead."""
    hops = len(sound) // (FRAMES * STEP)
    padded = np.concatenate((np.zeros(articulation.SPAN - FRAMES * STEP), sound[: hops * FRAMES * STEP]))
    mels = log_mel(power_spectrum(frames(padded.astype(np.float32))))
    ends_s = (np.arange(len(mels)) + 1) * STEP / SAMPLE_RATE_HZ
    spoken = (labels_at(phones, ends_s) != SILENCE).reshape(hops, FRAMES).any(axis=1)
    mouth = Mouth()
    if random.random() < 0.5:
        # A voice that was heard for long: its average is known but for what it said.
        voiced = mels.reshape(hops, FRAMES, MELS)[spoken].mean(axis=(0, 1))
        mouth.average, mouth.heard = voiced + random.normal(0.0, 0.2, MELS), 200.0
    seen = np.full((CONTEXT + len(mels), MELS), LOWEST, np.float16)
    for hop in range(hops):
        at = hop * FRAMES
        said = float(spoken[max(0, hop - SPEAKING_ON) : hop + 1].any())
        mouth.hear(mels[at : at + FRAMES], said)
        seen[CONTEXT + at : CONTEXT + at + FRAMES] = mouth.recent[-FRAMES:]
    labels = np.full((len(look_aheads_ms), CONTEXT + len(mels)), UNLABELLED, np.int8)
    for row, look_ahead_ms in enumerate(look_aheads_ms):
        known: Labels = labels_at(phones, ends_s - look_ahead_ms / 1_000.0)
        labels[row, CONTEXT:] = known
    return seen, labels
