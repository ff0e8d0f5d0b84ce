"""The log that verifications write."""

from collections import Counter
from itertools import islice

from cli.synthetic import START_US, US, synthetic_log
from schemas.codec import Codec, DecodeError
from schemas.records import FaceSignal, SessionEnded, SessionStarted, Signal, SpeechSignal


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = list(islice(synthetic_log(3, 5), 2_000))
    assert first == list(islice(synthetic_log(3, 5), 2_000))
    assert first != list(islice(synthetic_log(3, 6), 2_000))


def test_it_holds_what_a_deployment_writes() -> None:
    codec, kinds, seen, repeated, late, unreadable = Codec(), Counter(), set(), 0, 0, 0
    newest: dict[tuple[str, type], int] = {}
    at_us = START_US
    for arrival in islice(synthetic_log(6, 1), 30_000):
        assert arrival.at_us >= at_us, "in the order of arrival"
        at_us = arrival.at_us
        try:
            signal = codec.decode(Signal, arrival.value)
        except DecodeError:
            unreadable += 1
            continue
        assert signal.session_id == arrival.session_id
        kind = type(signal.payload)
        kinds[kind] += 1
        key = signal.session_id, kind, signal.sequence
        repeated += key in seen
        seen.add(key)
        late += signal.captured_at_us < newest.get((signal.session_id, kind), 0)
        newest[signal.session_id, kind] = max(signal.captured_at_us, newest.get((signal.session_id, kind), 0))
    assert kinds[FaceSignal] > kinds[SpeechSignal] > 10_000
    assert kinds[SessionStarted] >= kinds[SessionEnded] > 20
    assert repeated > 100
    assert late > 100
    assert unreadable > 0
    assert 40 < (at_us - START_US) / US < 200, "about 55 records a second and person"
