"""What is sealed opens with its key and in its place, and nowhere else."""

import pytest

from runtime.errors import SealBroken
from runtime.sealing import OVERHEAD, Seal, combined_key, media_binding, new_key
from schemas.vocabulary import Modality

PLACE = media_binding("s", Modality.FACE, 5)


def test_opens_what_it_sealed():
    seal = Seal(new_key())
    for plain in (b"", b"x", b"\xff\xd8 a face" * 5_000):
        sealed = seal.seal(plain, PLACE)
        assert len(sealed) == len(plain) + OVERHEAD
        assert seal.open(sealed, PLACE) == plain
        assert len(plain) < 2 or plain not in sealed


def test_the_same_twice_looks_different():
    seal = Seal(new_key())
    assert seal.seal(b"same", PLACE) != seal.seal(b"same", PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        media_binding("t", Modality.FACE, 5),
        media_binding("s", Modality.SPEECH, 5),
        media_binding("s", Modality.FACE, 6),
    ],
)
def test_moved_it_does_not_open(elsewhere):
    seal = Seal(new_key())
    with pytest.raises(SealBroken, match="altered, moved"):
        seal.open(seal.seal(b"a face", PLACE), elsewhere)


def test_altered_cut_or_with_another_key_it_does_not_open():
    seal = Seal(new_key())
    sealed = seal.seal(b"a face", PLACE)
    for bad in (bytes([sealed[0] ^ 1]) + sealed[1:], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-1], b"", b"short"):
        with pytest.raises(SealBroken):
            seal.open(bad, PLACE)
    with pytest.raises(SealBroken):
        Seal(new_key()).open(sealed, PLACE)


def test_a_combined_key_needs_every_key_in_any_order():
    a, b = new_key(), new_key()
    assert combined_key([a, b], "recording") == combined_key([b, a], "recording")
    assert len({combined_key([a, b], "recording"), combined_key([a], "recording"), combined_key([b, a], "other")}) == 3
