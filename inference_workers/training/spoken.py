"""Synthetic speech whose phonemes are timed: random words in many languages and voices, spoken by espeak-ng.

The words are ours (``words.yaml``); the synthesiser is run as a tool (:mod:`inference_workers.training.espeak`).
The same seed gives the same speech.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.signal import resample_poly

from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech.phones import Segment
from runtime.errors import PrerequisiteError

Samples = NDArray[np.float64]

WORDS: Final = Path(__file__).with_name("words.yaml")
SHARES: Final = {"en-us": 0.3, "en-gb-x-rp": 0.1, "de": 0.1}
"""Of the speech; the other languages share the rest alike."""
VARIANTS: Final = (
    "", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3",
    "klatt4",
    "Alex", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael",
    "Reed", "Tweaky", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed",
    "edward", "grandma", "grandpa", "gustave", "iven", "john", "linda", "max", "michel", "miguel", "norbert", "pablo",
    "paul", "pedro", "quincy", "rob", "sandro", "shelby", "steph", "travis", "victor", "whisper", "zac",
)  # fmt: skip
"""Voices of espeak-ng: vocal tracts, pitches and voice qualities; those with effects are left out."""
AT_ONCE: Final = 500
"""Utterances of one run of the synthesiser."""
PEAK: Final = 0.5


@dataclass(frozen=True, slots=True)
class Utterance:
    """Sound at 16 kHz, and the phones in it; ``voice`` is the synthesiser's, as in ``de+f3``."""

    sound: Samples
    phones: tuple[Segment, ...]
    voice: str


def speak(synthesiser: Path, count: int, seed: int) -> Iterator[Utterance]:
    """``count`` random utterances of a few words, less those that the synthesiser cannot say.

    ``synthesiser`` is a folder with espeak-ng's library and data. Raises PrerequisiteError if it does not run.
    """
    random = np.random.default_rng(seed)
    words = {voice: text.split() for voice, text in yaml.safe_load(WORDS.read_text(encoding="utf-8")).items()}
    for start in range(0, count, AT_ONCE):
        wanted = [_wanted(words, random) for _ in range(min(AT_ONCE, count - start))]
        with tempfile.TemporaryDirectory() as name:
            _run(synthesiser, wanted, Path(name))
            for number, each in enumerate(wanted):
                path = Path(name) / f"{number}.npz"
                if path.exists():
                    yield from _read(path, each["voice"])


def _wanted(words: dict[str, list[str]], random: np.random.Generator) -> dict[str, str]:
    others = (1.0 - sum(SHARES.values())) / (len(words) - len(SHARES))
    language = str(random.choice(list(words), p=[SHARES.get(voice, others) for voice in words]))
    chosen = [str(word) for word in random.choice(words[language], int(random.integers(4, 10)))]
    marks = random.choice(["", "", "", "", ",", "."], len(chosen))
    variant = str(random.choice(VARIANTS))
    return {
        "text": " ".join(f"{word}{mark}" for word, mark in zip(chosen, marks, strict=True)),
        "voice": f"{language}+{variant}" if variant else language,
        "rate": str(int(random.integers(120, 240))),
        "pitch": str(int(random.integers(15, 90))),
        "range": str(int(random.integers(20, 90))),
    }


def _run(synthesiser: Path, wanted: list[dict[str, str]], out: Path) -> None:
    """Speak into ``out/NUMBER.npz``; the synthesiser dies on some rare texts: it goes on after them."""
    first = 0
    while first < len(wanted):
        lines = [json.dumps({"number": first + place, **each}) for place, each in enumerate(wanted[first:])]
        done = subprocess.run(
            [sys.executable, "-m", "inference_workers.training.espeak", str(synthesiser), str(out)],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).resolve().parents[2],
        )
        if done.returncode == 0:
            return
        begun = done.stdout.split()
        if not begun or done.returncode > 0:
            raise PrerequisiteError(f"espeak-ng does not speak: {done.stderr.strip()[-500:]}")
        first = int(begun[-1]) + 1


def _read(path: Path, voice: str) -> Iterator[Utterance]:
    with np.load(path) as made:
        pcm, rate_hz = made["sound"], int(made["rate_hz"])
        starts_s, names = made["starts_s"].tolist(), [str(name) for name in made["names"]]
    if not names or len(pcm) < rate_hz // 4 or not pcm.any():
        return
    shared = int(np.gcd(rate_hz, SAMPLE_RATE_HZ))
    sound = resample_poly(pcm.astype(np.float64), SAMPLE_RATE_HZ // shared, rate_hz // shared)
    sound *= PEAK / np.abs(sound).max()
    ends_s = [*starts_s[1:], len(pcm) / rate_hz]
    if voice.startswith("en-us"):
        # American English has a tap for t and d between vowels: the tongue's tip, not an r.
        names = ["d" if name == "ɾ" else name for name in names]
    phones = [
        Segment(start, end, name) for start, end, name in zip(starts_s, ends_s, names, strict=True) if end > start
    ]
    yield Utterance(sound, tuple(phones), voice)
