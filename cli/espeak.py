"""espeak-ng as a program: reads lines of text from stdin, writes a WAV file for each.

``python -m cli.espeak FOLDER VOICE OUT`` speaks line i of stdin into ``OUT/i.wav`` (mono PCM16 at espeak's own rate).
A process of its own, because the library's state is global to its process and its licence is the GPL: the product
runs it as a tool and links nothing against it. Calls follow espeak-ng's ``speak_lib.h``.
"""

import ctypes
import sys
import wave
from pathlib import Path
from typing import Any, Final

AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
POS_CHARACTER: Final = 1
CHARS_UTF8: Final = 1
RATE, PITCH = 1, 3
"""Parameters: words a minute, and 0..100."""

SynthCallback: Any = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(folder: Path, voice: str, out: Path) -> None:
    """Speak the lines of stdin."""
    library = next(path for path in sorted(folder.glob("libespeak-ng.*")) if path.suffix in {".so", ".dylib"})
    espeak = ctypes.CDLL(str(library))
    rate_hz = espeak.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, ctypes.c_char_p(str(folder / "espeak-ng-data").encode()), 0
    )
    # A wrong voice would keep the former one without a word.
    if rate_hz <= 0 or espeak.espeak_SetVoiceByName(ctypes.c_char_p(voice.encode())) != 0:
        sys.exit(f"espeak-ng cannot use {folder} with the voice {voice}")
    espeak.espeak_SetParameter(RATE, 165, 0)
    espeak.espeak_SetParameter(PITCH, 55, 0)
    pcm = bytearray()

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if count > 0:
            pcm.extend(ctypes.string_at(samples, count * 2))
        return 0

    # Named, because the library keeps a pointer to it.
    callback = SynthCallback(collect)
    espeak.espeak_SetSynthCallback(callback)
    for number, line in enumerate(sys.stdin.read().splitlines()):
        pcm.clear()
        text = line.encode() + b"\0"
        espeak.espeak_Synth(
            ctypes.c_char_p(text), ctypes.c_size_t(len(text)), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None
        )
        espeak.espeak_Synchronize()
        with wave.open(str(out / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate_hz)
            file.writeframes(bytes(pcm))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
