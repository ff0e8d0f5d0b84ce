import numpy as np
import pytest

from benchmarks.fusion.live import Stream
from benchmarks.fusion.signals import FACE_HZ, US

START = 1_000 * US


@pytest.fixture
def stream():
    offsets = np.array([20_000, 5_000, 10_000])
    return Stream(None, START, US, offsets, np.full(3, 30_000))


def test_records_fall_due_in_the_order_of_their_sessions_offsets(stream):
    assert stream.session.tolist() == [1, 2, 0]
    assert stream.captured(np.arange(4)).tolist() == [START + 5_000, START + 10_000, START + 20_000, START + 38_333]


def test_what_is_due_is_told_once(stream):
    assert stream.due(START + 34_999).tolist() == []
    assert stream.due(START + 40_000).tolist() == [0, 1]
    stream.sent = 2
    assert stream.due(START + 40_000).tolist() == []
    # A second later thirty pictures of each session have come.
    late = stream.due(START + US + 50_000)
    assert late.tolist() == list(range(2, 3 * FACE_HZ + 3))


def test_when_a_record_was_sent(stream):
    stream.steps = [(2, 100), (5, 200)]
    assert stream.sent_at(np.array([0, 1, 2, 4])).tolist() == [100, 100, 200, 200]
