"""How far a voice stands above the noise around it, told from its window alone. Pure.

Two things tell noise from a voice without knowing either. Speech comes and goes in every band within a tenth of a
second, and what remains in a band's quietest frames is noise (minimum statistics: Martin, "Noise power spectral density
estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001). And a voice is periodic: what a
period does not repeat is noise (harmonics-to-noise ratio: Boersma, IFA Proceedings 17, 1993). The first fails on one
vowel that is held for the whole window, the second on consonants and on noise below the voice's pitch; a voice is as
audible as the better of the two says. Neither depends on the level. Babble comes and goes as speech does: another voice
is not noise here.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QUIETEST_PERCENT: Final = 5.0
"""Of a band's frames: what they hold counts as its noise."""
PERIODIC_PERCENT: Final = 75.0
"""The strength of voicing that so many frames do not exceed is that of the window."""
PERIODIC_OFFSET_DB: Final = 6.0
"""The ratio by periods is so much lower than that by floors in the same noise (EMO-DB, white to brown)."""
MOST_DB: Final = 60.0
"""Digital silence between words has no floor at all."""


def audibility_db(bands: Array, voicing: Array) -> float:
    """Mean power over noise in dB, from powers (frames, bands) and strengths of voicing (0..1, of any frames)."""
    floor = float(np.percentile(bands, QUIETEST_PERCENT, axis=0).sum())
    by_floor = 10.0 * np.log10(float(bands.mean(axis=0).sum()) / max(floor, 1e-12) + 1e-12)
    strength = float(np.percentile(voicing, PERIODIC_PERCENT))
    by_period = 10.0 * np.log10((strength + 1e-3) / (1.0 - strength + 1e-3)) + PERIODIC_OFFSET_DB
    return float(min(max(by_floor, by_period), MOST_DB))
