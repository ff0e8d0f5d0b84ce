from collections import Counter

import pytest

from benchmarks.sink.log import SinkLog
from schemas.codec import Codec
from schemas.records import AvatarFrame, FaceSignal, Signal, SpeechSignal
from schemas.topics import AVATAR_FRAMES, SIGNALS


@pytest.fixture(scope="module")
def records():
    return [record for piece in SinkLog(sessions=3, seconds=4, partitions=2).records() for record in piece]


def test_the_log_is_as_long_as_it_says(records):
    log = SinkLog(sessions=3, seconds=4, partitions=2)
    topics = Counter(record.topic for record in records)
    assert topics[SIGNALS] == log.signals
    assert topics[AVATAR_FRAMES] >= 3 * (4 * 30 - 1)


def test_records_are_what_services_write(records):
    codec = Codec()
    signals = [codec.decode(Signal, r.value) for r in records if r.topic == SIGNALS]
    faces = [s for s in signals if isinstance(s.payload, FaceSignal)]
    voices = [s for s in signals if isinstance(s.payload, SpeechSignal)]
    assert (len(faces), len(voices)) == (3 * 4 * 30, 3 * 4 * 25)
    for signal in faces + voices:
        stamps = [signal.captured_at_us, signal.received_at_us, signal.ingested_at_us, signal.consumed_at_us]
        assert stamps == sorted(stamps)
        assert signal.consumed_at_us < signal.inferred_at_us
    frames = [codec.decode(AvatarFrame, r.value) for r in records if r.topic == AVATAR_FRAMES]
    for session in {frame.session_id for frame in frames}:
        numbers = [frame.sequence for frame in frames if frame.session_id == session]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({frame.blendshapes for frame in frames}) > len(frames) / 2


def test_the_same_seed_gives_the_same_bytes():
    def some(seed: int) -> list[bytes]:
        log = SinkLog(sessions=2, seconds=1, partitions=2, seed=seed)
        return [record.value for piece in log.records() for record in piece]

    assert some(5) == some(5) != some(6)
