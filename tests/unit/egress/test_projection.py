import dataclasses

import pytest

from egress.projection import (
    AU_KEYS,
    Instants,
    avatar_frame,
    emotion_update,
    has_emotion_update,
    hop_spans_s,
    hops_ms,
)
from schemas.vocabulary import BLENDSHAPES, EMOTIONS, VISEMES
from tests.support.frames import NAN
from tests.support.frames import avatar_frame as example

FRAME = example("abc-123", 30)
INSTANTS = Instants(FRAME.captured_at_us + 21_000, FRAME.captured_at_us + 24_500)


def test_an_avatar_frame_has_the_fields_of_the_contract():
    message = avatar_frame(FRAME, INSTANTS)
    assert {"type", "session_id", "timestamp_ms", "sequence", "payload"} <= message.keys()
    assert (message["type"], message["session_id"], message["sequence"]) == ("avatar_frame", "abc-123", 30)
    assert message["timestamp_ms"] == FRAME.captured_at_us // 1_000
    payload = message["payload"]
    assert {"blendshapes", "bone_transforms", "viseme", "viseme_conf", "particles"} <= payload.keys()
    assert payload["blendshapes"].keys() == {*BLENDSHAPES, "smile", "brow_up", "frown", "cheek_raise"}
    assert payload["blendshapes"]["smile"] == 0.8
    assert payload["blendshapes"]["frown"] == 0.1
    assert payload["blendshapes"]["brow_up"] == 0.0
    bones = payload["bone_transforms"]
    assert (bones["neck_pitch"], bones["head_yaw"]) == (-1.1, 3.52)
    assert (payload["viseme"], payload["viseme_conf"]) == ("aa", 0.878)
    assert payload["visemes"].keys() == set(VISEMES)
    assert payload["particles"] == {"glow_intensity": 0.2}


def test_an_emotion_update_has_the_fields_of_the_contract():
    message = emotion_update(FRAME)
    payload = message["payload"]
    assert (message["type"], message["sequence"]) == ("emotion_update", 30)
    assert payload["emotion"] == "happy"
    assert payload["scores"].keys() == set(EMOTIONS)
    assert sum(payload["scores"].values()) == pytest.approx(1.0, abs=0.01)
    assert (payload["valence"], payload["arousal"]) == (0.64, 0.32)
    assert {"au12_smile", "au06_cheek_raise"} <= payload["au"].keys() == set(AU_KEYS)
    assert payload["head_pose"] == {"yaw": 3.2, "pitch": -1.1, "roll": 0.2}
    assert payload["gaze"] == {"x": 0.02, "y": -0.01}
    assert payload["speaking_probability"] == 0.859


def test_emotions_come_with_every_third_frame():
    assert [k for k in range(10) if has_emotion_update(example("s", k))] == [0, 3, 6, 9]


def test_hops_are_told_for_the_modalities_that_counted():
    assert hops_ms(FRAME, INSTANTS) == {
        "face": {"captured": -20.0, "received": -18.0, "ingested": -17.5, "consumed": -10.0, "inferred": 5.0},
        "fused": 21.0,
        "relayed": 24.5,
    }
    neither = dataclasses.replace(FRAME, face_hops_ms=(NAN,) * 5)
    assert hops_ms(neither, INSTANTS).keys() == {"fused", "relayed"}


def test_spans_add_up_to_the_whole():
    spans = dict(hop_spans_s(FRAME, INSTANTS))
    whole = spans.pop("face_captured_to_relayed")
    assert spans.pop("tick_to_relayed") == pytest.approx(0.0245)
    assert whole == pytest.approx(0.0445)
    assert spans.pop("fused_to_relayed") == spans["face_fused_to_relayed"]
    assert sum(spans.values()) == pytest.approx(whole)
    assert list(spans) == [
        "face_captured_to_received",
        "face_received_to_ingested",
        "face_ingested_to_consumed",
        "face_consumed_to_inferred",
        "face_inferred_to_fused",
        "face_fused_to_relayed",
    ]


def test_spans_of_recordings_are_left_out():
    future = Instants(FRAME.captured_at_us - 1_000_000, FRAME.captured_at_us - 990_000)
    assert "tick_to_relayed" not in dict(hop_spans_s(FRAME, future))


@pytest.mark.parametrize("cut_us", [0, 300, 999])
def test_the_hops_of_a_frame_add_up_to_the_whole_though_clocks_are_cut(cut_us):
    """Kafka's timestamp is cut to the millisecond, so that it may lie before the stamp of the inference."""
    frame = dataclasses.replace(FRAME, speech_hops_ms=(-35.0, -36.2, -10.0, -5.0, 20.4))
    instants = Instants(frame.captured_at_us + 21_000 - cut_us, frame.captured_at_us + 24_500)
    spans = dict(hop_spans_s(frame, instants))
    assert all(span >= 0 for span in spans.values())
    for modality in ("face", "speech"):
        whole = spans[f"{modality}_captured_to_relayed"]
        hops = [
            s for name, s in spans.items() if name.startswith(modality) and not name.endswith("captured_to_relayed")
        ]
        assert len(hops) == 6
        assert sum(hops) == pytest.approx(whole)
