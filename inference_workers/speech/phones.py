"""Which mouth shape a phone has, and what is known of when phones were spoken. Pure.

The 15 shapes are those of Oculus' lip-sync (:data:`schemas.vocabulary.VISEMES`), which Meta describes by English
examples; sounds that it does not name go where Amazon Polly's published viseme tables put them. Vowels without a
shape of their own go by opening of the jaw and rounding of the lips. A diphthong is two shapes. A sound that is not
seen (a glottal stop) has none, and [h] has that of the vowel it leads to.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.vocabulary import VISEMES

Labels = NDArray[np.int8]

UNLABELLED: Final = -1
"""No viseme is known, or none can be seen."""
SILENCES: Final = frozenset(
    {"", "sil", "SIL", "sp", "spn", "pau", "<sil>", "<s>", "</s>", "_", "_:", "+SPN+", "[NOISE]"}
)
FIRST_OF_TWO: Final = 0.6
"""Share of a diphthong that its first shape takes."""

_IPA: Final = {
    "PP": "p b m ɓ ɸ β ʙ ɱ̊",
    "FF": "f v ɱ ʋ ⱱ",
    "TH": "θ ð",
    "DD": "t d ʈ ɖ ɗ",
    "kk": "k ɡ g q ɢ x ɣ χ ç ŋ c ɟ ɰ ħ ʕ ɠ",
    "CH": "tʃ dʒ ʃ ʒ tɕ dʑ ɕ ʑ ʂ ʐ tʂ dʐ ɧ",
    "SS": "s z ts dz",
    "nn": "n l ɲ ʎ ɫ ɬ ɭ ɳ ɮ ʟ",
    "RR": "r ɹ ɾ ʀ ʁ ɻ ɽ ɚ ɝ ɺ",
    "aa": "a ɑ æ ʌ ɐ ɶ",
    "E": "e ɛ ə ɜ ɘ ɞ ɤ",
    "ih": "i ɪ ɨ j ɯ ᵻ",
    "oh": "o ɔ ɒ ø œ ɵ",
    "ou": "u ʊ y ʏ ʉ w ʍ ɥ",
}
_IPA_VISEME: Final = {phone: name for name, phones in _IPA.items() for phone in phones.split()}

ARPABET: Final = {
    **dict.fromkeys(("P", "B", "M"), ("PP",)),
    **dict.fromkeys(("F", "V"), ("FF",)),
    **dict.fromkeys(("TH", "DH"), ("TH",)),
    **dict.fromkeys(("T", "D"), ("DD",)),
    **dict.fromkeys(("K", "G", "NG"), ("kk",)),
    **dict.fromkeys(("CH", "JH", "SH", "ZH"), ("CH",)),
    **dict.fromkeys(("S", "Z"), ("SS",)),
    **dict.fromkeys(("N", "L"), ("nn",)),
    **dict.fromkeys(("R", "ER"), ("RR",)),
    **dict.fromkeys(("AA", "AE"), ("aa",)),
    # CMU's dictionary writes AH for the schwa, too, which is the more frequent of the two.
    **dict.fromkeys(("AH", "EH"), ("E",)),
    **dict.fromkeys(("IH", "IY", "Y"), ("ih",)),
    "AO": ("oh",),
    **dict.fromkeys(("UH", "UW", "W"), ("ou",)),
    "AY": ("aa", "ih"),
    "AW": ("aa", "ou"),
    "EY": ("E", "ih"),
    "OW": ("oh", "ou"),
    "OY": ("oh", "ih"),
}
"""The phones of CMU's dictionary, without stress; HH is dealt with apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is spoken (or not) from ``start_s`` to ``end_s``: a phone or a viseme, by name."""

    start_s: float
    end_s: float
    name: str


def shapes_of(name: str) -> tuple[str, ...] | None:
    """Visemes of a phone in IPA or ARPAbet, or of a viseme itself: one, or two; none if unseen.

    None if the name is not known. Marks of stress, length, tone and secondary articulation do not matter.
    """
    if name in VISEMES:
        return (name,)
    if name in SILENCES:
        return ("sil",)
    if found := ARPABET.get(name.rstrip("012")):
        return found
    return _of_ipa(name)


def _of_ipa(name: str) -> tuple[str, ...] | None:
    bare = "".join(each for each in unicodedata.normalize("NFD", name) if each in _LETTERS)
    shapes: list[str] = []
    rest, known = bare, bool(bare)
    while rest:
        pair = _IPA_VISEME.get(rest[:2]) if len(rest) > 1 else None
        shape = pair or _IPA_VISEME.get(rest[0])
        if shape is None and rest[0] not in _UNSEEN:
            known = False
        if shape is not None and shape not in shapes[-1:]:
            shapes.append(shape)
        rest = rest[2:] if pair else rest[1:]
    return tuple(shapes[:1] + shapes[-1:] if len(shapes) > 1 else shapes) if known else None


_UNSEEN: Final = frozenset("ʔʲ")
_ASPIRATED: Final = frozenset({"h", "ɦ", "HH"})
_LETTERS: Final = frozenset("".join(_IPA_VISEME)) | _UNSEEN


def unknown_names(segments: Sequence[Segment]) -> Sequence[str]:
    """Names among the segments that are neither phones nor visemes, each once, in order."""
    return list(dict.fromkeys(s.name for s in segments if s.name not in _ASPIRATED and shapes_of(s.name) is None))


def labels_at(segments: Sequence[Segment], instants_s: NDArray[np.float64]) -> Labels:
    """Index of the viseme (:data:`schemas.vocabulary.VISEMES`) at each instant, :data:`UNLABELLED` where none is.

    The segments are in order of time; between, before and after them nothing is known.
    """
    labels = np.full(len(instants_s), UNLABELLED, np.int8)
    for place, segment in enumerate(segments):
        shapes = shapes_of(segment.name)
        if segment.name in _ASPIRATED:
            following = shapes_of(segments[place + 1].name) if place + 1 < len(segments) else None
            shapes = following[:1] if following else None
        if not shapes:
            continue
        bounds = [segment.start_s, segment.end_s]
        if len(shapes) == 2:
            bounds.insert(1, segment.start_s + FIRST_OF_TWO * (segment.end_s - segment.start_s))
        for shape, start_s, end_s in zip(shapes, bounds[:-1], bounds[1:], strict=True):
            labels[np.searchsorted(instants_s, start_s) : np.searchsorted(instants_s, end_s)] = VISEMES.index(shape)
    return labels
