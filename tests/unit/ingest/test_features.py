"""Feature payloads as untrusted input: what passes is a signal that fusion takes, and nothing else passes."""

import dataclasses
import math
import random
import struct

import numpy as np
import pytest

from dataflows.alignment import is_valid
from dataflows.layout import FACE, SPEECH
from ingest.admission import Refused
from ingest.features import HOP_US, FeatureWriter, HopGrid, read_face, read_speech
from schemas.bulk import SignalBatchReader
from schemas.codec import Codec
from schemas.features import FACE_BYTES, SPEECH_BYTES, face_payload, speech_payload
from schemas.records import FaceSignal, Signal, SpeechSignal
from schemas.vocabulary import Outcome
from tests.support.signals import face_signal, speech_signal

T = 1_800_000_000_000_000
ENGINE = "engine@1.2.3"


def face(**changes: object) -> bytes:
    signal = dataclasses.replace(face_signal(1.5, random.Random(1)), face_count=2, track_id=5, **changes)
    return face_payload(signal, engine=ENGINE, inference_us=20_000)


def speech(**changes: object) -> bytes:
    signal = dataclasses.replace(speech_signal(1.5, random.Random(1)), **changes)
    return speech_payload(signal, engine=ENGINE, inference_us=3_000)


def refusal(read: object, payload: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        read(payload)  # type: ignore[operator]
    return refused.value


def as_32_bits(signal: FaceSignal | SpeechSignal) -> FaceSignal | SpeechSignal:
    def narrowed(value: object) -> object:
        if isinstance(value, float):
            return float(np.float32(value))
        return tuple(map(narrowed, value)) if isinstance(value, tuple) else value

    return dataclasses.replace(
        signal, **{field.name: narrowed(getattr(signal, field.name)) for field in dataclasses.fields(signal)}
    )


def written(payload: bytes, sequence: int = 7) -> bytes:
    features = read_face(payload) if len(payload) > FACE_BYTES else read_speech(payload)
    return FeatureWriter(Codec()).write(
        features,
        session_id="s1",
        sequence=sequence,
        captured_us=T,
        received_us=T + 200,
        inferred_us=T + 100,
        ingested_us=T + 300,
    )


@pytest.mark.parametrize("detected", [True, False])
@pytest.mark.parametrize("degraded", [True, False])
def test_a_face_is_written_as_the_codec_writes_the_same_record(detected, degraded):
    signal = dataclasses.replace(face_signal(2.5, random.Random(3), detected=detected), degraded=degraded)
    payload = face_payload(signal, engine=ENGINE, inference_us=100)
    wanted = Signal(T, T + 200, T + 300, T + 300, T + 100, as_32_bits(signal), 7, "s1", f"client:{ENGINE}")
    assert written(payload) == Codec().encode(wanted)


def test_speech_is_written_as_the_codec_writes_the_same_record():
    signal = dataclasses.replace(speech_signal(2.5, random.Random(3)), degraded=True)
    payload = speech_payload(signal, engine=ENGINE, inference_us=100)
    wanted = Signal(T, T + 200, T + 300, T + 300, T + 100, as_32_bits(signal), T // 40_000, "s1", f"client:{ENGINE}")
    assert written(payload, T // 40_000) == Codec().encode(wanted)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.01, -0.01, 3e38])
@pytest.mark.parametrize("place", [0, 4, 12, 50])
def test_numbers_out_of_range_are_refused_and_named(value, place):
    payload = bytearray(face())
    struct.pack_into("<f", payload, 12 + 4 * place, value)
    refused = refusal(read_face, bytes(payload))
    assert refused.outcome is Outcome.MALFORMED
    payload = bytearray(speech())
    struct.pack_into("<f", payload, 8, value)
    assert "speaking_probability" in str(refusal(read_speech, bytes(payload)))


def test_what_32_bits_round_over_is_taken():
    assert read_face(face(confidence=1.0000002)).detected


@pytest.mark.parametrize("payload, told", [
    (b"", "0 bytes"),
    (face()[:FACE_BYTES - 1], "bytes"),
    (face()[:-1], "engine"),
    (face() + b"x", "engine"),
    (face_payload(face_signal(0.0, random.Random(1)), engine="<script>@1", inference_us=0), "name@version"),
    (face_payload(face_signal(0.0, random.Random(1)), engine="nameless", inference_us=0), "name@version"),
    (face_payload(face_signal(0.0, random.Random(1)), engine=ENGINE, inference_us=6_000_000), "inference"),
    (face(emotion_scores=(0.1,) * 7), "sum to 0.7"),
    (face(face_detected=False), "no face"),
    (b"\x01\x04" + face()[2:], "flags"),
])  # fmt: skip
def test_broken_faces_are_refused_with_a_reason(payload, told):
    refused = refusal(read_face, payload)
    assert refused.outcome is Outcome.MALFORMED
    assert told in str(refused)


@pytest.mark.parametrize("payload, told", [
    (b"\x01", "1 bytes"),
    (speech()[:SPEECH_BYTES], "engine"),
    (speech(viseme_scores=(0.0,) * 15), "visemes sum to 0"),
    (speech(emotion_scores=(0.5,) * 7), "sum to"),
    (b"\x01\x01" + speech()[2:], "flags"),
    (speech()[:2] + b"\x01" + speech()[3:], "reserved"),
])  # fmt: skip
def test_broken_speech_is_refused_with_a_reason(payload, told):
    refused = refusal(read_speech, payload)
    assert refused.outcome is Outcome.MALFORMED
    assert told in str(refused)


@pytest.mark.parametrize("read, payload", [(read_face, face()), (read_speech, speech())])
def test_a_layout_of_the_future_is_unsupported(read, payload):
    assert refusal(read, b"\x02" + payload[1:]).outcome is Outcome.UNSUPPORTED


def test_a_thousand_engines_are_not_remembered_for_ever():
    for number in range(1_000):
        signal = face_signal(0.0, random.Random(1))
        name = f"engine@{number}"
        assert read_face(face_payload(signal, engine=name, inference_us=0)).engine == name.encode()


def test_what_does_not_fit_the_layout_is_not_packed():
    signal = face_signal(0.0, random.Random(1))
    with pytest.raises(ValueError, match="name"):
        face_payload(signal, engine="e" * 49, inference_us=0)
    with pytest.raises(ValueError, match="do not fit"):
        face_payload(dataclasses.replace(signal, face_count=300), engine=ENGINE, inference_us=0)
    with pytest.raises(ValueError, match="do not fit"):
        speech_payload(speech_signal(0.0, random.Random(1)), engine=ENGINE, inference_us=-1)


def test_written_signals_are_what_fusion_takes():
    batch = SignalBatchReader(Codec()).read([written(face()), written(speech())] * 5)
    assert not batch.errors
    for row in range(10):
        modality = FACE if row % 2 == 0 else SPEECH
        values = (batch.faces if modality == FACE else batch.speeches)[batch.place[row]]
        assert is_valid(modality, batch.stamps[row], batch.sequence[row], values)


class TestHopGrid:
    """Hops of a client on the grid of the speech worker."""

    @pytest.mark.parametrize("phase_us", range(0, 40_000, 5_000))
    def test_steady_hops_with_jitter_fill_every_place_once(self, phase_us):
        grid, rng = HopGrid(), random.Random(phase_us)
        ends = [T + phase_us + i * HOP_US + rng.randint(-9_000, 9_000) for i in range(1_000)]
        places = [grid.place(end) for end in ends]
        assert places[0] is not None
        assert places == list(range(places[0], places[0] + 1_000))
        assert all(abs(place * HOP_US - end) <= 40_000 for place, end in zip(places, ends, strict=True) if place)

    def test_lost_hops_leave_holes_of_their_length(self):
        grid = HopGrid()
        first = grid.place(T)
        assert first == T // HOP_US
        assert grid.place(T + 10 * HOP_US) == first + 10

    def test_two_hops_for_one_place_are_one_too_many(self):
        grid = HopGrid()
        grid.place(T)
        assert grid.place(T + 1_000) is None
        assert grid.place(T - 5 * HOP_US) is None
        assert grid.place(T + HOP_US) == T // HOP_US + 1

    def test_drifting_clocks_keep_hops_within_a_place_of_their_end(self):
        grid = HopGrid()
        ends = [T + round(i * HOP_US * 1.001) for i in range(5_000)]
        places = [grid.place(end) for end in ends]
        assert None not in places
        assert all(abs(place * HOP_US - end) <= 35_000 for place, end in zip(places, ends, strict=True) if place)
