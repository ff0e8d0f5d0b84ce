"""espeak-ng as a program that says when it speaks which phoneme, for training data.

``python -m inference_workers.training.espeak FOLDER OUT`` reads a JSON object a line from stdin, ``{"number", "text",
"voice", "rate", "pitch", "range"}``, and writes ``OUT/NUMBER.npz``: ``sound`` (int16), ``rate_hz``, ``starts_s`` and
``names`` of the phonemes (IPA), and nothing for a line that it cannot speak; each number goes to stdout before it is
spoken. A process of its own, because the library's state is global to its process, it may crash, and its licence is
the GPL: it is run as a tool, and nothing is linked against it. Calls and structures follow ``speak_lib.h``.
"""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
PHONEME_EVENTS: Final = 0x0001
PHONEME_IPA: Final = 0x0002
POS_CHARACTER: Final = 1
CHARS_UTF8: Final = 1
LIST_TERMINATED: Final = 0
PHONEME: Final = 7
PARAMETERS: Final = {"rate": 1, "pitch": 3, "range": 4}
"""Words a minute; 0..100; 0..100."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


SynthCallback: Any = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def main(folder: Path, out: Path) -> None:
    """Speak the lines of stdin."""
    library = next(path for path in sorted(folder.glob("libespeak-ng.*")) if path.suffix in {".so", ".dylib"})
    espeak = ctypes.CDLL(str(library))
    data = ctypes.c_char_p(str(folder / "espeak-ng-data").encode())
    rate_hz = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, PHONEME_EVENTS | PHONEME_IPA)
    if rate_hz <= 0:
        sys.exit(f"espeak-ng cannot use {folder}")
    pcm = bytearray()
    phonemes: list[tuple[float, str]] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if count > 0:
            pcm.extend(ctypes.string_at(samples, count * 2))
        place = 0
        while events[place].type != LIST_TERMINATED:
            event = events[place]
            if event.type == PHONEME:
                name = bytes(event.id.string).split(b"\0")[0].decode(errors="ignore")
                phonemes.append((event.audio_position / 1_000.0, name))
            place += 1
        return 0

    # Named, because the library keeps a pointer to it.
    callback = SynthCallback(collect)
    espeak.espeak_SetSynthCallback(callback)
    for line in sys.stdin:
        wanted = json.loads(line)
        sys.stdout.write(f"{wanted['number']}\n")
        sys.stdout.flush()
        pcm.clear()
        phonemes.clear()
        # A wrong voice would keep the former one without a word.
        if espeak.espeak_SetVoiceByName(ctypes.c_char_p(wanted["voice"].encode())) != 0:
            continue
        for name, parameter in PARAMETERS.items():
            espeak.espeak_SetParameter(parameter, int(wanted[name]), 0)
        text = wanted["text"].encode() + b"\0"
        espeak.espeak_Synth(
            ctypes.c_char_p(text), ctypes.c_size_t(len(text)), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None
        )
        espeak.espeak_Synchronize()
        np.savez(
            out / f"{wanted['number']}.npz",
            sound=np.frombuffer(bytes(pcm), "<i2"),
            rate_hz=np.array(rate_hz),
            starts_s=np.array([start for start, _ in phonemes]),
            names=np.array([name for _, name in phonemes]),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
