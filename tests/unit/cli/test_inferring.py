from dataclasses import replace
from random import Random

from cli.inferring import in_event_order
from schemas.codec import Codec
from schemas.records import SessionEnded, SessionStarted, Signal
from tests.support.signals import START_US, ended, session_log

CODEC = Codec()


def said(session_id: str, seconds: float) -> list[tuple[str, Signal, bytes]]:
    return [(session_id, signal, CODEC.encode(signal)) for _, signal in session_log(session_id, seconds)]


def test_the_order_is_that_of_capture_whoever_wrote_first():
    signals = said("a", 2.0) + said("b", 1.0)
    ordered = in_event_order(signals)
    instants = [at_us for at_us, _, _ in ordered]
    assert instants == sorted(instants)
    assert len(ordered) == len(signals)
    for session in ("a", "b"):
        own = [CODEC.decode(Signal, value) for _, name, value in ordered if name == session]
        assert isinstance(own[0].payload, SessionStarted)
        assert isinstance(own[-1].payload, SessionEnded)
        assert [signal.captured_at_us for signal in own[1:-1]] == sorted(s.captured_at_us for s in own[1:-1])
    Random(3).shuffle(signals)
    assert in_event_order(signals) == ordered


def test_an_end_stays_behind_everything_and_a_start_before():
    early, late = (replace(signal, captured_at_us=START_US + shift) for signal, shift in zip(
        [s for _, s, _ in said("a", 1.0)][1:3], (-40_000, 5_000_000), strict=True
    ))  # fmt: skip
    start, close = said("a", 1.0)[0][1], ended("a", START_US + 1_000_000)
    ordered = in_event_order(("a", signal, CODEC.encode(signal)) for signal in (late, close, early, start))
    assert [value for _, _, value in ordered] == [CODEC.encode(each) for each in (start, early, late, close)]
