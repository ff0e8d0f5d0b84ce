import pytest

from cli.observation import Observation
from cli.sample import GroundTruth

TRUTH = GroundTruth(30.0, 30, 640, 480, face_visible=((0.0, 10.0), (12.0, 30.0)), speech=((5.0, 10.0),))
START_US = 1_800_000_000_000_000


def avatar_frame(sequence: int, *, captured_before_ms: float = 10.0):
    return {
        "type": "avatar_frame",
        "timestamp_ms": START_US // 1_000 + sequence * 1_000 // 30,
        "sequence": sequence,
        "payload": {"discontinuity": False},
        "hops_ms": {"face": {"captured": -captured_before_ms}, "fused": 30.0, "relayed": 31.0},
    }


def emotion_update(at_s: float, emotion: str, speaking: float, face_weight: float = 0.7):
    return {
        "type": "emotion_update",
        "timestamp_ms": START_US // 1_000 + round(at_s * 1_000),
        "sequence": round(at_s * 30),
        "payload": {
            "emotion": emotion,
            "speaking_probability": speaking,
            "weights": {"face": face_weight, "speech": 0.9 - face_weight},
        },
    }


def received(frame, latency_ms: float) -> int:
    return round((frame["timestamp_ms"] + latency_ms) * 1_000)


def test_missing_and_repeated_frames_are_told_apart():
    seen = Observation(TRUTH, START_US)
    for sequence in (7, 8, 9, 12, 12, 11, 13):
        frame = avatar_frame(sequence)
        seen.message(received(frame, 50), frame)
    figures = seen.figures()
    assert (figures["frames"], figures["sequence_gaps"], figures["repeated_frames"]) == (7, 2, 2)


def test_latency_counts_from_the_tick_and_from_the_capture():
    seen = Observation(TRUTH, START_US)
    for sequence in range(100):
        frame = avatar_frame(sequence)
        seen.message(received(frame, 40.0 if sequence < 90 else 80.0), frame)
    latency = seen.figures()["latency_ms"]
    assert latency["tick_to_client"]["p50"] == pytest.approx(40, abs=1)
    assert latency["tick_to_client"]["p95"] == pytest.approx(80, abs=1)
    assert latency["face_capture_to_client"]["p50"] == pytest.approx(50, abs=1)
    assert latency["speech_capture_to_client"] is None


def test_figures_follow_the_truth_round_after_round_and_leave_out_the_edges():
    seen = Observation(TRUTH, START_US)
    for round_s in (0, 30):
        seen.message(0, emotion_update(round_s + 3.0, "happy", 0.05))
        seen.message(0, emotion_update(round_s + 7.0, "happy", 0.95))
        seen.message(0, emotion_update(round_s + 5.1, "happy", 0.5))  # beside a change
        seen.message(0, emotion_update(round_s + 11.0, "neutral", 0.02))  # no face
        seen.message(0, emotion_update(round_s + 7.5, "angry", 0.95, 0.1))  # the voice decides
        seen.message(0, emotion_update(round_s + 20.0, "sad", 0.05))
    figures = seen.figures()
    assert figures["happy_on_top_share"] == pytest.approx(6 / 8)
    assert figures["speaking_in_speech"] == 0.95
    assert figures["speaking_in_silence"] == 0.05


def test_nothing_seen_is_null():
    figures = Observation(TRUTH, START_US).figures()
    assert figures["frames"] == 0
    assert figures["happy_on_top_share"] is None
    assert figures["speaking_in_speech"] is None


def test_notices_are_not_frames():
    seen = Observation(TRUTH, START_US)
    seen.message(0, {"type": "notice", "skipped": 3})
    assert seen.frames == 0
