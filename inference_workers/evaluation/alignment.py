"""When the phones of a known English sentence were spoken, by pocketsphinx and its own model (extra ``eval``)."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech.phones import Segment
from runtime.errors import PrerequisiteError

FRAME_S: Final = 0.01


def aligner() -> Callable[[NDArray[np.float32], str], Sequence[Segment] | None]:
    """An aligner; raises PrerequisiteError if pocketsphinx is not installed."""
    try:
        import pocketsphinx  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PrerequisiteError("timing the phones of a sentence: pip install 'affectstream[eval]'") from error
    decoder: Any = pocketsphinx.Decoder(samprate=SAMPLE_RATE_HZ, lm=None, loglevel="FATAL")

    def align(sound: NDArray[np.float32], sentence: str) -> Sequence[Segment] | None:
        """Phones (ARPAbet) of the sentence; None if it is not found in the sound."""
        pcm = (sound.clip(-1.0, 1.0) * 32_767).astype("<i2").tobytes()
        words = sentence.lower().split()
        try:
            # Words first; their alignment is then refined to phones.
            decoder.set_align_text(" ".join(words))
            _decode(decoder, pcm)
            decoder.set_alignment()
            _decode(decoder, pcm)
            found, phones = _read(decoder.get_alignment())
        except RuntimeError:
            return None
        return phones if found == words else None

    return align


def _read(alignment: Any) -> tuple[list[str], list[Segment]]:
    """Words but for silences, and phones. Each word is read while the iterator stands on it: later it is gone."""
    words, phones = [], []
    for word in alignment or ():
        if not word.name.startswith("<"):
            words.append(word.name.partition("(")[0])
        for phone in word:
            start, frames = int(phone.start), int(phone.duration)
            phones.append(Segment(start * FRAME_S, (start + frames) * FRAME_S, str(phone.name)))
    return words, phones


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
