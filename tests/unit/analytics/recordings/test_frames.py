import math
import struct
from dataclasses import replace

import numpy as np
import pytest

from analytics.recordings.container import Entry, RecordingError
from analytics.recordings.frames import CHANNELS, FrameDecoder, frames_sha256, plain
from egress.projection import Instants, avatar_frame, emotion_update
from schemas.codec import Codec
from tests.support.frames import avatar_frame as made_frame

CODEC = Codec()


def encoded(sequence, session="s1", **changes):
    return CODEC.encode(replace(made_frame(session, sequence), **changes))


def entry(value, offset=0, session="s1"):
    return Entry("avatar.frames", 0, offset, 0, session, value)


def row(value):
    return dict(zip(CHANNELS, FrameDecoder().channels([value])[0], strict=True))


def test_every_channel_is_in_its_unit():
    frame = made_frame("s1", 30)
    found = row(CODEC.encode(frame))
    message, emotion = avatar_frame(frame, Instants(0, 0)), emotion_update(frame)
    assert found["captured_at_us"] == frame.captured_at_us
    for name, weight in message["payload"]["blendshapes"].items():
        if f"blendshapes.{name}" in found:
            assert found[f"blendshapes.{name}"] == pytest.approx(weight, abs=1e-3)
    assert found["angles.head_yaw"] == pytest.approx(message["payload"]["bone_transforms"]["head_yaw"])
    assert found["affect.valence"] == pytest.approx(emotion["payload"]["valence"])
    assert found["emotions.happy"] == pytest.approx(emotion["payload"]["scores"]["happy"], abs=1e-3)
    assert found["face_hops_ms.inferred"] == pytest.approx(5.0)
    assert math.isnan(found["speech_hops_ms.captured"])
    assert (found["face_live"], found["speech_live"], found["mapping"]) == (1.0, 0.0, 2.0)
    assert len(CHANNELS) == len(set(CHANNELS))


def test_negative_steps_keep_their_sign():
    found = row(encoded(0, angles=struct.pack("<8h", -1, *[0] * 7), affect=struct.pack("<5h", *[0] * 4, -10_000)))
    assert found["angles.pose_yaw"] == pytest.approx(-0.01)
    assert found["affect.gaze_y"] == pytest.approx(-1.0)


def test_frames_are_collected_once():
    one, two = encoded(0), encoded(1)
    found = FrameDecoder().collect([entry(one), entry(two, 1), entry(one, 2)])
    assert found.values == {("s1", 0): one, ("s1", 1): two}
    assert found.repeated == 1
    assert found.sha256 == frames_sha256({("s1", 1): two, ("s1", 0): one})


def test_a_frame_that_says_something_else_the_second_time_is_refused():
    with pytest.raises(RecordingError, match="frame 0 of s1 stands in the recording with different bytes"):
        FrameDecoder().collect([entry(encoded(0)), entry(encoded(0, face_live=False), 1)])


@pytest.mark.parametrize("value", [b"", b"\xc3\x01", encoded(0)[:-3], encoded(0) + b"x"])
def test_what_is_no_frame_is_named(value):
    with pytest.raises(RecordingError, match="frame at offset 7 of s1"):
        FrameDecoder().collect([entry(value, 7)])


def test_vectors_of_other_lengths_are_refused():
    with pytest.raises(RecordingError, match="other lengths"):
        FrameDecoder().channels([encoded(0, face_hops_ms=(1.0, 2.0))])


def test_no_frames_have_no_channels():
    assert FrameDecoder().channels([]).shape == (0, len(CHANNELS))


def test_numbers_for_people():
    assert [plain(value) for value in (np.nan, 3.0, 0.1 + 0.2)] == [None, 3, 0.3]
