"""``affectstream bench sealing``: what it costs to seal and open sound and pictures."""

import os
import statistics
import time
from collections.abc import Mapping
from typing import Final

from runtime.sealing import Seal, media_binding, new_key
from schemas.vocabulary import Modality

ITEMS: Final[Mapping[str, int]] = {"sound, 20 ms": 640, "picture, 30 kB": 30_000, "picture, 60 kB": 60_000}
ROUNDS: Final = 7
TIMES: Final = 2_000


def cost_us() -> Mapping[str, tuple[float, float]]:
    """Microseconds of sealing and of opening one item, by kind: the median of some rounds."""
    found = {}
    seal = Seal(new_key())
    for name, size in ITEMS.items():
        plain, place = os.urandom(size), media_binding("0b5c7a1e9d3f4c2a8e6d5b4a", Modality.FACE, 12_345)
        sealed = seal.seal(plain, place)
        sealing, opening = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(TIMES):
                seal.seal(plain, place)
            middle = time.perf_counter()
            for _ in range(TIMES):
                seal.open(sealed, place)
            sealing.append((middle - began) / TIMES * 1e6)
            opening.append((time.perf_counter() - middle) / TIMES * 1e6)
        found[name] = (round(statistics.median(sealing), 2), round(statistics.median(opening), 2))
    return found
