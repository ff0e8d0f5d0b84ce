from dataclasses import dataclass, replace

import pytest

from benchmarks.fusion.frames import FrameReader, compare
from benchmarks.processes import CandidateError
from schemas.codec import Codec
from schemas.records import AvatarFrame
from tests.support.golden import examples


@dataclass
class FakeMessage:
    data: bytes

    def value(self):
        return self.data

    def timestamp(self):
        return (1, 1_000)


def frames(*records):
    reader = FrameReader()
    reader.take([FakeMessage(Codec().encode(record)) for record in records])
    return reader.frames()


@pytest.fixture
def frame():
    example = next(record for record in examples().values() if isinstance(record, AvatarFrame))
    return replace(example, session_id=f"{0:024x}", sequence=0)


def test_missing_and_repeated_frames_are_found(frame):
    second = replace(frame, sequence=1)
    assert frames(second, frame).missing(1, 2) == 0
    assert frames(frame).missing(1, 2) == 1
    with pytest.raises(CandidateError, match="1 frames were written twice"):
        frames(frame, frame).missing(1, 2)
    with pytest.raises(CandidateError, match="none of"):
        frames(replace(frame, sequence=2)).missing(1, 2)


def test_equal_frames_are_equal_whatever_their_hops(frame):
    other = replace(frame, face_hops_ms=(0.0,) * 5, closed_by_max_wait=not frame.closed_by_max_wait)
    found = compare(frames(frame), frames(other))
    assert (found.compared, found.differing, found.largest_step, found.unequal) == (1, 0, 0, 0)


def test_differences_are_counted_in_steps(frame):
    weights = bytearray(frame.blendshapes)
    weights[3] ^= 1
    found = compare(frames(frame), frames(replace(frame, blendshapes=bytes(weights))))
    assert (found.differing, found.largest_step, found.unequal) == (1, 1, 0)
    assert compare(frames(frame), frames(replace(frame, viseme_mouth=not frame.viseme_mouth))).unequal == 1
