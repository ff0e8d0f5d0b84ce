"""Records with any values that their fields can hold, and bytes that were damaged on the way."""

import struct
from random import Random

from schemas.records import AvatarFrame, FaceSignal, Signal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES
from tests.support.signals import START_US, ended, started


def random_signal(rng: Random) -> Signal:
    """A signal of any kind whose every number is anything that its field can hold."""

    def floats(count: int) -> tuple[float, ...]:
        return struct.unpack(f"<{count}f", rng.randbytes(4 * count))

    def one() -> float:
        return floats(1)[0]

    def length(usual: int) -> int:
        return usual if rng.random() < 0.97 else rng.randrange(80)

    def long() -> int:
        return rng.choice([rng.randrange(1 << rng.randrange(1, 63)), -rng.randrange(1 << rng.randrange(1, 63))])

    at = [rng.randrange(START_US, 2 * START_US) if rng.random() < 0.98 else long() for _ in range(5)]
    kind = rng.random()
    if kind < 0.48:
        payload: FaceSignal | SpeechSignal = FaceSignal(
            rng.random() < 0.5, one(), floats(length(7)), one(), one(), one(), floats(length(len(AUS))),
            floats(length(len(BLENDSHAPES))), one(), one(), one(), one(), one(), one(), one(), floats(length(4)),
            rng.random() < 0.5, rng.randrange(-5, 300), rng.randrange(-5, 1 << 31),
        )  # fmt: skip
    elif kind < 0.96:
        payload = SpeechSignal(
            one(), one(), floats(length(7)), one(), one(), one(), one(), one(), one(), floats(length(15)), one(),
            rng.random() < 0.5,
        )  # fmt: skip
    else:
        return rng.choice([started, ended])(f"s{rng.randrange(100)}", at[0])
    sequence = rng.randrange(1 << rng.randrange(1, 40)) if rng.random() < 0.97 else long()
    text = rng.choice(["ses-", "é", "日本", "", "x" * 70]) + str(rng.randrange(1000))
    return Signal(*at, payload, sequence, text, rng.choice(["face@1", "über", "", "y" * 200]))


def random_frame(rng: Random) -> AvatarFrame:
    """A frame whose every number is anything that its field can hold."""

    def hops(usual: int) -> tuple[float, ...]:
        count = usual if rng.random() < 0.98 else rng.randrange(8)
        return struct.unpack(f"<{count}f", rng.randbytes(4 * count))

    flags = [rng.random() < 0.5 for _ in range(5)]
    return AvatarFrame(
        rng.randrange(START_US, 2 * START_US) if rng.random() < 0.98 else rng.randrange(-(1 << 62), 1 << 62),
        hops(5), hops(5), rng.randbytes(7), rng.randbytes(10), rng.randbytes(8), rng.randbytes(20), rng.randbytes(16),
        rng.randbytes(52), rng.randbytes(15), *flags, rng.choice(["direct_au", "emotion_style", "blend"]),
        rng.randrange(1 << rng.randrange(1, 40)) if rng.random() < 0.97 else rng.randrange(-(1 << 62), 1 << 62),
        rng.choice(["ses-", "é", "", "x" * 70, "y" * 127, "nul\0"]) + str(rng.randrange(1000)),
    )  # fmt: skip


def damaged(value: bytes, rng: Random) -> bytes:
    choice = rng.randrange(4)
    if choice == 0:
        return value[: rng.randrange(len(value) + 1)]
    if choice == 1:
        return value + rng.randbytes(rng.randrange(1, 5))
    at = rng.randrange(len(value))
    return value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :]
