import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.speech import vad
from inference_workers.speech.timeline import HOP, Hop
from tests.support.fake_speech_engine import FakeDetector

K0 = 45_000_000_000  # a multiple of four hops, so of five windows


def hops(samples, first=K0 + 1):
    return [Hop(first + n, samples[n * HOP : (n + 1) * HOP], first=n == 0) for n in range(len(samples) // HOP)]


def test_windows_lie_on_the_absolute_grid_with_the_context_before_them():
    sound = np.arange(40 * HOP, dtype=np.float32)
    for skipped in range(4):
        voice = vad.Voice()
        found = [w for hop in hops(sound[skipped * HOP :], K0 + 1 + skipped) for w in voice.windows(hop)]
        starts = [int(window[vad.CONTEXT]) for window in found]
        assert starts == list(range(-(-skipped * HOP // vad.WINDOW) * vad.WINDOW, 40 * HOP, vad.WINDOW))
        for before, window in itertools.pairwise(found):
            np.testing.assert_array_equal(window[: vad.CONTEXT], before[-vad.CONTEXT :])


@given(st.integers(1, 40))
def test_every_hop_of_a_running_voice_has_one_or_two_windows(start):
    voice = vad.Voice()
    counts = [len(voice.windows(hop)) for hop in hops(np.zeros(20 * HOP, np.float32), K0 + start)]
    assert set(counts[1:]) <= {1, 2}


def test_a_voice_is_noticed_in_its_hop_and_let_go_of_slowly():
    sound = np.concatenate([np.zeros(4 * HOP), np.ones(4 * HOP), np.zeros(8 * HOP)]).astype(np.float32)
    voice, detector = vad.Voice(), FakeDetector()
    found = [vad.speaking_probabilities(detector, [voice], [hop])[0] for hop in hops(sound)]
    assert found[:4] == [0, 0, 0, 0]
    assert found[4:8] == [1, 1, 1, 1]
    falling = found[8:]
    assert falling == pytest.approx([vad.RELEASE ** (n + 1) for n in range(8)])
    assert falling[4] < 0.3  # 200 ms after the sound's end


def test_sessions_share_batches_and_nothing_else():
    detector = FakeDetector()
    loud, quiet = np.ones(8 * HOP, np.float32), np.zeros(8 * HOP, np.float32)
    voices = [vad.Voice(), vad.Voice()]
    found = [vad.speaking_probabilities(detector, voices, pair) for pair in zip(hops(loud), hops(quiet), strict=True)]
    assert {tuple(pair) for pair in found} == {(1.0, 0.0)}
    assert set(detector.batches) == {2}
    assert [float(voice.state[0, 0]) for voice in voices] == [10.0, 10.0]


def test_sessions_on_different_hops_are_batched_too():
    detector = FakeDetector()
    sound = np.ones(8 * HOP, np.float32)
    voices = [vad.Voice(), vad.Voice()]
    for pair in zip(hops(sound), hops(sound, K0 + 3), strict=True):
        assert len(vad.speaking_probabilities(detector, voices, pair)) == 2
    assert vad.speaking_probabilities(detector, [], []) == []


def test_after_a_gap_nothing_is_remembered():
    voice, detector = vad.Voice(), FakeDetector()
    for hop in hops(np.ones(4 * HOP, np.float32)):
        vad.speaking_probabilities(detector, [voice], [hop])
    (hop,) = hops(np.zeros(HOP, np.float32), K0 + 101)
    assert vad.speaking_probabilities(detector, [voice], [hop]) == [0.0]
    assert float(voice.state[0, 0]) == 1.0
