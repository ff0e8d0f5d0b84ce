import math

import pytest
from pythonosc.osc_packet import OscPacket

from egress.projection import Instants, avatar_frame, emotion_update
from egress.vmc import MAX_DATAGRAM_BYTES, NAME_SETS, Performer, datagrams, rotation
from schemas.vocabulary import BLENDSHAPES
from tests.support.frames import avatar_frame as made_frame

FRAME = made_frame("s1", 30)
MESSAGE = avatar_frame(FRAME, Instants(0, 0))
EMOTION = emotion_update(FRAME)


def said(bundles):
    return [(m.message.address, *m.message.params) for bundle in bundles for m in OscPacket(bundle).messages]


def values(messages, address):
    return {m[1]: m[2:] if len(m) > 3 else m[2] for m in messages if m[0] == address}


def turned(quaternion, vector):
    """The vector turned by the quaternion (the formula is the same in left- and right-handed axes)."""
    x, y, z, w = quaternion
    vx, vy, vz = vector
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return (
        vx + w * tx + y * tz - z * ty,
        vy + w * ty + z * tx - x * tz,
        vz + w * tz + x * ty - y * tx,
    )


FORWARD, UP = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)


def test_turns_are_unitys():
    # Unity: x is the avatar's right, y up, z where it looks.
    left = turned(rotation(90.0, 0.0, 0.0), FORWARD)
    assert left == pytest.approx((-1.0, 0.0, 0.0), abs=1e-9)
    down = turned(rotation(0.0, 90.0, 0.0), FORWARD)
    assert down == pytest.approx((0.0, -1.0, 0.0), abs=1e-9)
    tilted = turned(rotation(0.0, 0.0, 90.0), UP)
    assert tilted == pytest.approx((-1.0, 0.0, 0.0), abs=1e-9)


def test_turns_compose_as_euler_angles_do_in_unity():
    # Nodding happens about the turned head's own axis: yaw left 90 degrees, then 30 down, looks left and down.
    seen = turned(rotation(90.0, 30.0, 0.0), FORWARD)
    assert seen == pytest.approx((-math.cos(math.radians(30)), -0.5, 0.0), abs=1e-9)
    quaternion = rotation(20.0, -10.0, 5.0)
    assert sum(part * part for part in quaternion) == pytest.approx(1.0)


def test_a_frame_says_everything_and_applies_it_last():
    messages = said(Performer().frame(MESSAGE))
    assert messages[0] == ("/VMC/Ext/OK", 1, 3, 0, 1)
    assert messages[1] == ("/VMC/Ext/T", 0.0)
    assert messages[2] == ("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    assert messages[-1] == ("/VMC/Ext/Blend/Apply",)
    blends = values(messages, "/VMC/Ext/Blend/Val")
    assert tuple(blends) == BLENDSHAPES
    assert blends["mouthSmileLeft"] == pytest.approx(0.8, abs=1e-3)
    bones = values(messages, "/VMC/Ext/Bone/Pos")
    assert set(bones) == {"Spine", "Neck", "Head"}
    moved = MESSAGE["payload"]["bone_transforms"]
    expected = rotation(moved["head_yaw"], moved["head_pitch"], moved["head_roll"])
    assert bones["Head"] == pytest.approx((0.0, 0.0, 0.0, *expected), abs=1e-6)


def test_time_counts_from_the_first_frame():
    performer = Performer()
    performer.frame(MESSAGE)
    later = said(performer.frame({**MESSAGE, "timestamp_ms": MESSAGE["timestamp_ms"] + 1_500}))
    assert later[1] == ("/VMC/Ext/T", 1.5)


@pytest.mark.parametrize("names", [*[(name,) for name in NAME_SETS], NAME_SETS])
def test_datagrams_are_never_fragmented(names):
    for bundle in Performer(names).frame(MESSAGE):
        assert len(bundle) <= MAX_DATAGRAM_BYTES


def test_perfect_sync_names_have_a_capital():
    blends = values(said(Performer(["perfect-sync"]).frame(MESSAGE)), "/VMC/Ext/Blend/Val")
    assert "MouthSmileLeft" in blends
    assert len(blends) == len(BLENDSHAPES)


def test_presets_show_emotion_voice_and_eyes():
    performer = Performer(["vrm0"])
    performer.emotion(EMOTION)
    payload = {**MESSAGE["payload"], "viseme_mouth": True, "visemes": {**MESSAGE["payload"]["visemes"], "oh": 0.5}}
    payload["blendshapes"] = {**payload["blendshapes"], "eyeLookOutLeft": 0.4, "eyeLookInRight": 0.2}
    blends = values(said(performer.frame({**MESSAGE, "payload": payload})), "/VMC/Ext/Blend/Val")
    assert blends["Joy"] == pytest.approx(199 / 255, abs=1e-3)
    assert blends["O"] == pytest.approx(0.5)
    assert blends["LookLeft"] == pytest.approx(0.3)
    assert set(blends) >= {"A", "I", "U", "E", "O", "Blink_L", "Blink_R", "Joy", "Angry", "Sorrow"}


def test_presets_open_the_mouth_when_the_face_owns_it():
    payload = {**MESSAGE["payload"], "viseme_mouth": False}
    payload["blendshapes"] = {**payload["blendshapes"], "jawOpen": 0.6}
    blends = values(said(Performer(["vrm1"]).frame({**MESSAGE, "payload": payload})), "/VMC/Ext/Blend/Val")
    assert (blends["aa"], blends["oh"]) == (pytest.approx(0.6), 0.0)


def test_a_silent_session_relaxes():
    performer = Performer()
    assert said(performer.relaxing(0.0)) == [("/VMC/Ext/OK", 1, 3, 0, 0)]
    performer.frame(MESSAGE)
    half = said(performer.relaxing(0.5))
    assert half[0] == ("/VMC/Ext/OK", 1, 3, 0, 0)
    assert values(half, "/VMC/Ext/Blend/Val")["mouthSmileLeft"] == pytest.approx(0.4, abs=1e-3)
    rest = said(performer.relaxing(0.0))
    assert set(values(rest, "/VMC/Ext/Blend/Val").values()) == {0.0}
    assert values(rest, "/VMC/Ext/Bone/Pos")["Head"] == pytest.approx((0.0,) * 6 + (1.0,))


def test_nothing_gives_no_datagram():
    assert datagrams([]) == []
