"""Which frames become traces, and what reaches an exporter."""

import hashlib
from itertools import count

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from analytics.tracer import HELD_FRAMES, HELD_SESSIONS, SessionTracer, Spans
from analytics.traces import trace_id
from runtime.metrics import Metrics
from schemas.codec import Codec, DecodeError
from schemas.records import ClientEvent
from tests.support.frames import avatar_frame

CODEC = Codec()


class Traced:
    """A tracer of every session, and what it exports."""

    def __init__(self, share=1.0, exporter: SpanExporter | None = None):
        self.exporter = exporter or InMemorySpanExporter()
        self.metrics = Metrics("analytics")
        self._spans = Spans(self.exporter, self.metrics)
        self._tracer = SessionTracer(self._spans, CODEC, share)
        self._events = count()

    def frames(self, session, *sequences):
        for sequence in sequences:
            frame = avatar_frame(session, sequence)
            self._tracer.take_frame(session.encode(), CODEC.encode(frame), frame.captured_at_us + 21_000)

    def ack(self, session, sequence, *, rendered=True):
        captured = avatar_frame(session, sequence).captured_at_us
        event = ClientEvent(
            captured_at_us=captured, received_at_us=captured, kind="ack", sequence=next(self._events),
            session_id=session, client_id="viewer", frame_sequence=sequence, frame_captured_at_us=captured,
            relayed_at_us=captured + 23_000, rendered_at_us=captured + 39_000 if rendered else None,
        )  # fmt: skip
        self._tracer.take_event(session.encode(), CODEC.encode(event))

    def raw(self, key, value):
        self._tracer.take_frame(key, value, 0)

    def traces(self):
        """Spans by name, by trace."""
        self._spans.close()
        found = {}
        for span in self.exporter.get_finished_spans():
            found.setdefault(span.context.trace_id, {})[span.name] = span
        return found


def test_an_acknowledged_frame_is_traced_to_the_glass():
    traced = Traced()
    traced.frames("abc", *range(40))
    traced.ack("abc", 33)
    (trace,) = traced.traces().values()
    assert {"frame", "face", "face.transport", "face.inference", "fusion", "relay", "glass"} <= trace.keys()
    root = trace["frame"]
    assert root.parent is None
    assert root.context.trace_id == trace_id("abc", 33)
    assert root.end_time - root.start_time == 59_000_000, "20 ms before the tick to 39 ms after it"
    assert trace["face.queue"].parent.span_id == trace["face"].context.span_id
    assert trace["fusion"].parent.span_id == root.context.span_id
    assert trace["relay"].resource.attributes["service.name"] == "egress"
    assert trace["face.queue"].resource.attributes["service.namespace"] == "affectstream"
    assert root.attributes["affectstream.session_digest"] == hashlib.sha256(b"abc").hexdigest()[:16]


def test_of_a_session_that_nobody_watches_one_frame_a_second_is_traced():
    traced = Traced()
    traced.frames("abc", *range(HELD_FRAMES + 61))
    assert set(traced.traces()) == {trace_id("abc", sequence) for sequence in (0, 30, 60)}


def test_what_was_acknowledged_is_not_traced_again():
    traced = Traced()
    traced.frames("abc", *range(HELD_FRAMES))
    traced.ack("abc", 30)
    traced.ack("abc", 30)
    traced.frames("abc", *range(HELD_FRAMES, HELD_FRAMES + 61))
    traces = traced.traces()
    assert set(traces) == {trace_id("abc", 30), trace_id("abc", 60)}
    assert "glass" in traces[trace_id("abc", 30)]
    assert "glass" not in traces[trace_id("abc", 60)]


def test_an_ack_of_a_frame_that_is_not_known_is_nothing():
    traced = Traced()
    traced.ack("abc", 7)
    assert traced.traces() == {}


def test_nothing_is_decoded_of_sessions_that_are_not_sampled():
    traced = Traced(share=0.0)
    traced.raw(b"abc", b"not Avro")
    assert traced.traces() == {}
    with pytest.raises(DecodeError):
        Traced().raw(b"abc", b"not Avro")


def test_of_too_many_sessions_those_heard_last_are_held():
    traced = Traced()
    for number in range(HELD_SESSIONS + 1):
        traced.frames(f"s{number}", 1)
    traced.ack("s0", 1)
    traced.ack(f"s{HELD_SESSIONS}", 1)
    assert set(traced.traces()) == {trace_id(f"s{HELD_SESSIONS}", 1)}


def test_spans_are_counted_by_what_became_of_them():
    class Refusing(InMemorySpanExporter):
        def export(self, _spans):
            return SpanExportResult.FAILURE

    for exporter, outcome in ((InMemorySpanExporter(), "exported"), (Refusing(), "lost")):
        traced = Traced(exporter=exporter)
        traced.frames("abc", 1)
        traced.ack("abc", 1)
        traced.traces()
        page = generate_latest(traced.metrics.registry).decode()
        assert f'affectstream_spans_total{{outcome="{outcome}"}} 9.0' in page
