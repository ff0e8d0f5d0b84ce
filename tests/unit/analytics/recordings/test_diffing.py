import json
import struct
from dataclasses import replace

import pytest

from analytics.recordings.container import RecordingError
from analytics.recordings.diffing import PRESENCE, Tolerances, compare
from analytics.recordings.frames import Frames
from schemas.codec import Codec
from tests.support.frames import NAN, avatar_frame

CODEC = Codec()
RECORDS = {("s1", n): avatar_frame("s1", n) for n in range(10)} | {("s2", n): avatar_frame("s2", n) for n in range(3)}


def frames(changes=None, without=()):
    records = {key: record for key, record in RECORDS.items() if key not in without}
    for key, change in (changes or {}).items():
        records[key] = replace(records[key], **change)
    return Frames({key: CODEC.encode(record) for key, record in records.items()})


def smile(value):
    shapes = bytearray(RECORDS["s1", 0].blendshapes)
    shapes[43] = value
    return {"blendshapes": bytes(shapes)}


def test_equal_frames_are_identical():
    found = compare(frames(), frames())
    assert found.identical
    assert found.keys() == {"identical": True, "frames": 13}


def test_the_first_divergent_frame_and_the_largest_errors_are_named():
    found = compare(frames(), frames({("s1", 7): smile(100), ("s1", 4): smile(200)}))
    assert not found.identical
    assert not found.tolerated
    assert (found.first.session, found.first.sequence, found.first.channel) == ("s1", 4, "blendshapes.mouthSmileLeft")
    assert (found.first.a, found.first.b) == (0.8, round(200 / 255, 6))
    keys = json.loads(json.dumps(found.keys()))
    assert keys["identical"] is False
    assert keys["channels"] == {
        "blendshapes.mouthSmileLeft": {"largest": round(104 / 255, 6), "frames": 2, "unit": ""},
    }
    assert found.channels["blendshapes.mouthSmileLeft"].at == ("s1", 7)
    assert "session s1, frame 4, blendshapes.mouthSmileLeft: 0.8 and 0.784314" in str(found.first)


def test_time_decides_what_is_first():
    earlier = {"captured_at_us": RECORDS["s1", 0].captured_at_us - 1, "face_live": False}
    both = {("s2", 2): earlier, ("s1", 1): {"face_live": False}}
    assert (
        compare(frames({("s2", 2): {"captured_at_us": earlier["captured_at_us"]}}), frames(both)).first.session == "s2"
    )


def test_missing_frames_are_differences():
    found = compare(frames(), frames(without=[("s1", 3)]))
    assert (found.only_in_a, found.only_in_b, found.compared) == (1, 0, 12)
    assert (found.first.channel, found.first.sequence, found.first.a, found.first.b) == (PRESENCE, 3, True, False)
    assert "only in A" in str(found.first)
    assert "only in B" in str(compare(frames(without=[("s1", 3)]), frames()).first)


def test_what_is_tolerated_is_no_divergence():
    changed = frames({("s1", 4): {"angles": struct.pack("<8h", 321, -110, 20, 352, -121, 22, -110, 150)}})
    step = Tolerances([("angles.*", 0.0101)])
    found = compare(frames(), changed, step)
    assert found.tolerated
    assert not found.identical
    assert found.first is None
    assert found.channels["angles.pose_yaw"].frames == 0
    assert not compare(frames(), changed, Tolerances([("affect.*", 1.0)])).tolerated


def test_none_and_a_number_differ_by_infinity():
    silent = {"face_hops_ms": (NAN,) * 5}
    found = compare(frames(), frames({("s1", 4): silent}), Tolerances([("face_hops_ms.*", 1e9)]))
    assert not found.tolerated
    assert (found.first.channel, found.first.b) == ("face_hops_ms.captured", None)
    assert compare(frames(), frames({("s1", 4): silent}), Tolerances([("face_hops_ms.*", float("inf"))])).tolerated


def test_the_first_pattern_counts(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text('channels:\n  "angles.head_*": 0.5\n  "angles.*": 0.1\n  "*_hops_ms.*": any\n')
    found = Tolerances.read(path)
    assert [found.of(name) for name in ("angles.head_yaw", "angles.pose_yaw", "emotions.sad")] == [0.5, 0.1, 0.0]
    assert found.of("face_hops_ms.fused") == float("inf")


@pytest.mark.parametrize(
    "text, said",
    [
        ("[]", "one key, channels"),
        ("channels: 3", "one key, channels"),
        ("channels: {}\nmore: 1", "one key, channels"),
        ("channels: {'angles.*': -1}", "a number from 0 on"),
        ("channels: {'angles.*': .inf}", "a number from 0 on"),
        ("channels: {'angles.*': true}", "a number from 0 on"),
        ("channels: {'angels.*': 1}", "no channel fits"),
        ("channels: {", "cannot be read"),
    ],
)
def test_tolerances_that_cannot_be_meant_are_refused(tmp_path, text, said):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said):
        Tolerances.read(path)
