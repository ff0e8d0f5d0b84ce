import hashlib

import numpy as np
import pytest

from benchmarks.fusion.signals import ORIGIN_US, RecordedLog, varints
from schemas.codec import Codec
from schemas.records import FaceSignal, SessionEnded, SessionStarted, Signal, SpeechSignal


def test_varints_are_those_of_avro():
    assert varints(np.array([64, 8191]), 2).tolist() == [[0x80, 0x01], [0xFE, 0x7F]]
    with pytest.raises(ValueError, match="do not all take 2 bytes"):
        varints(np.array([63]), 2)


@pytest.fixture(scope="module")
def log():
    return RecordedLog(sessions=3, seconds=2)


@pytest.fixture(scope="module")
def signals(log):
    codec = Codec()
    return [
        (key, codec.decode(Signal, value))
        for piece in log.slices()
        for key, value in zip(piece.keys, piece.values, strict=True)
    ]


def test_every_record_is_a_signal_of_its_key(log, signals):
    assert len(signals) == log.signals
    assert all(key.decode() == signal.session_id for key, signal in signals)
    kinds = [type(signal.payload) for _, signal in signals]
    assert [kinds.count(kind) for kind in (SessionStarted, FaceSignal, SpeechSignal, SessionEnded)] == [3, 180, 150, 3]
    assert kinds[:3] == [SessionStarted] * 3
    assert kinds[-3:] == [SessionEnded] * 3


def test_pictures_are_taken_at_the_ticks_and_the_log_is_in_order(signals):
    mine = [signal for key, signal in signals if key == signals[0][0]]
    instants = [signal.captured_at_us for signal in mine]
    assert instants == sorted(instants)
    faces = [signal for signal in mine if isinstance(signal.payload, FaceSignal)]
    assert [s.captured_at_us for s in faces] == [ORIGIN_US + k * 1_000_000 // 30 for k in range(60)]
    assert [s.sequence for s in faces] == list(range(faces[0].sequence, faces[0].sequence + 60))
    assert len({s.payload.blendshapes for s in faces}) == 60


def test_a_voice_stays_as_it_is(signals):
    voices = {(s.session_id, s.payload) for _, s in signals if isinstance(s.payload, SpeechSignal)}
    assert len(voices) == 3
    hops = [s for _, s in signals if isinstance(s.payload, SpeechSignal)]
    assert all(s.sequence * 40_000 == s.captured_at_us for s in hops)


def test_the_same_seed_gives_the_same_bytes():
    def digest(seed):
        sha = hashlib.sha256()
        for piece in RecordedLog(2, 1, seed).slices():
            sha.update(b"".join(piece.keys + piece.values))
        return sha.hexdigest()

    assert digest(1) == digest(1) != digest(2)


def test_a_generation_follows_when_the_one_before_has_ended():
    log, codec = RecordedLog(2, 1, generations=3), Codec()
    records = [codec.decode(Signal, value) for piece in log.slices() for value in piece.values]
    assert len(records) == log.signals == 3 * RecordedLog(2, 1).signals
    assert (log.everyone, log.frames, log.session_seconds) == (6, 180, 6)
    spans = {}
    for signal in records:
        spans.setdefault(signal.session_id, []).append(signal.captured_at_us)
    assert len(spans) == 6
    firsts = sorted({min(instants) for instants in spans.values()})
    assert firsts == [ORIGIN_US + generation * 2_000_000 for generation in range(3)]
    assert all(signal.captured_at_us >= records[i - 1].captured_at_us for i, signal in enumerate(records) if i)
