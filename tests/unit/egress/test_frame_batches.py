from hypothesis import given
from hypothesis import strategies as st

from egress.frame_batches import TOGETHER_FROM, BatchReader, FrameColumns
from egress.frames import LONGEST_NAME, DecodedFrame, FrameReader, LogFrame
from schemas.bulk import BULK_FROM
from schemas.codec import Codec, DecodeError
from tests.support.frame_strategies import avatar_frames
from tests.support.frames import avatar_frame

CODEC = Codec()
ONE = FrameReader(CODEC)
MANY = BatchReader(CODEC)
FUSED_US = 1_800_000_000_123_000


def told(frame):
    """What a frame says, by whichever reader."""
    if isinstance(frame, DecodeError):
        return str(frame)
    whole = (frame.session_id, frame.sequence, frame.captured_at_us, frame.fused_at_us, CODEC.encode(frame.record()))
    if len(frame.session_id.encode()) > 255:
        return whole
    return (*whole, frame.packed(frame.captured_at_us + 24_500), type(frame))


def one_by_one(values):
    found = []
    for number, value in enumerate(values):
        try:
            found.append(ONE.read(value, FUSED_US + number))
        except DecodeError as error:
            found.append(error)
    return found


def assert_same(values):
    found = MANY.read(values, [FUSED_US + number for number in range(len(values))])
    if isinstance(found, FrameColumns):
        found = [found.frame(row) for row in range(len(found))]
    assert [told(frame) for frame in found] == [told(frame) for frame in one_by_one(values)]
    return found


@given(st.lists(avatar_frames(), min_size=1, max_size=3 * BULK_FROM))
def test_frames_of_a_batch_are_those_that_are_read_one_by_one(frames):
    assert_same([CODEC.encode(frame) for frame in frames])


@given(st.data())
def test_bytes_that_were_changed_are_read_as_one_by_one(data):
    values = []
    for number in range(BULK_FROM + 4):
        value = bytearray(CODEC.encode(avatar_frame("session", 60 * number)))
        for _ in range(data.draw(st.integers(0, 2))):
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        values.append(bytes(value[: data.draw(st.integers(len(value) - 12, len(value)))]))
    assert_same(values)


def test_the_frames_of_the_product_are_cut_and_not_decoded():
    sequences = (0, 1, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576, 100_000_000)
    names = ("abc", "a" * 36, "b" * 36, "a" * LONGEST_NAME)
    assert len(sequences) * len(names) >= TOGETHER_FROM
    frames = assert_same([CODEC.encode(avatar_frame(name, number)) for name in names for number in sequences])
    assert {type(frame) for frame in frames} == {LogFrame}


def test_what_is_laid_out_otherwise_is_decoded_in_its_place():
    odd = {
        2: CODEC.encode(avatar_frame("a" * (LONGEST_NAME + 1), 7)),
        5: CODEC.encode(avatar_frame("é" * 3, 7)),
        6: CODEC.encode(avatar_frame("abc", 1 << 28)),
    }
    frames = assert_same([odd.get(number) or CODEC.encode(avatar_frame("abc", number)) for number in range(12)])
    assert [number for number, frame in enumerate(frames) if isinstance(frame, DecodedFrame)] == list(odd)


def test_what_is_no_frame_says_why_and_keeps_nobody_else():
    bad = {1: None, 4: b"", 7: b"nothing of ours"}
    values = [bad.get(number, CODEC.encode(avatar_frame("abc", number))) for number in range(12)]
    frames = assert_same(values)
    assert [number for number, frame in enumerate(frames) if isinstance(frame, DecodeError)] == list(bad)


def test_nothing_is_read_of_nothing():
    assert MANY.read([], []) == []
