"""Sends traces of sampled sessions to an OTLP receiver: reads the log a second time, in a thread of its own.

A frame that a viewer acknowledged is traced to the glass. Of a sampled session that nobody acknowledges, one frame a
second is traced as far as the log knows. A receiver that is away costs traces (``spans_total``), never anything else.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span as OpenSpan
from opentelemetry.trace import Tracer, set_span_in_context

from analytics.traces import Service, Shown, frame_spans, sampled, span_id, trace_id
from runtime.kafka import Consumer, Message, consumer
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.codec import Codec, DecodeError
from schemas.records import AvatarFrame, ClientEvent
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS

log = logging.getLogger(__name__)

HELD_FRAMES: Final = 150
"""Of each sampled session: an acknowledgement comes within 5 s or not at all."""
HELD_SESSIONS: Final = 2_000
"""Beyond these, the sessions heard last are traced."""
UNSEEN_EVERY: Final = 30
CONSUME_RECORDS: Final = 2_000
CONSUME_WAIT_S: Final = 0.2


class Stop(Protocol):
    """What ends the tracer: a threading.Event."""

    def is_set(self) -> bool: ...


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Sends spans by OTLP over HTTP to ``endpoint``, such as ``http://collector:4318/v1/traces``.

    Headers, certificates and time-outs are told by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_HEADERS``, …).
    """
    return OTLPSpanExporter(endpoint=endpoint)


class Spans:
    """Turns frames into spans of the SDK, a resource a service. Owned by one thread."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._processor = BatchSpanProcessor(_Counted(exporter, metrics))
        self._ids = _GivenIds()
        self._tracers: dict[Service, Tracer] = {}

    def write(self, frame: AvatarFrame, fused_at_us: int, shown: Shown | None) -> None:
        """Hand a frame's spans over; what does not fit in the processor's queue is lost."""
        made: dict[str, OpenSpan] = {}
        for span in frame_spans(frame, fused_at_us, shown):
            self._ids.trace = trace_id(frame.session_id, frame.sequence)
            self._ids.span = span_id(frame.session_id, frame.sequence, span.name)
            context = None if span.parent is None else set_span_in_context(made[span.parent])
            made[span.name] = started = self._tracer(span.service).start_span(
                span.name, context, attributes=span.attributes, start_time=span.start_us * 1_000
            )
            started.end(span.end_us * 1_000)

    def close(self) -> None:
        """Send what is left; waits for the exporter, which gives up by itself."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _tracer(self, service: Service) -> Tracer:
        tracer = self._tracers.get(service)
        if tracer is None:
            resource = Resource.create({"service.name": service, "service.namespace": "affectstream"})
            provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
            provider.add_span_processor(self._processor)
            tracer = self._tracers[service] = provider.get_tracer("affectstream")
        return tracer


@dataclass(slots=True)
class _Held:
    """The newest frames of a sampled session that are not traced yet, with the moments of their publishing, µs."""

    frames: OrderedDict[int, tuple[AvatarFrame, int]] = field(default_factory=OrderedDict)
    seen_until: int = -1
    """The last sequence that was acknowledged."""


class SessionTracer:
    """Decides what is traced, from the records of two topics in any order. Owned by one thread."""

    def __init__(self, spans: Spans, codec: Codec, share: float) -> None:
        self._spans = spans
        self._codec = codec
        self._share = share
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._chosen: dict[bytes, bool] = {}

    def take_frame(self, key: bytes, value: bytes, fused_at_us: int) -> None:
        """A record of ``avatar.frames``; raises DecodeError."""
        if not self._wanted(key):
            return
        frame = self._codec.decode(AvatarFrame, value)
        held = self._session(frame.session_id)
        held.frames[frame.sequence] = frame, fused_at_us
        while len(held.frames) > HELD_FRAMES:
            _, (old, at_us) = held.frames.popitem(last=False)
            # Of a watched session, its acknowledged frames say more.
            if old.sequence % UNSEEN_EVERY == 0 and old.sequence > held.seen_until:
                self._spans.write(old, at_us, None)

    def take_event(self, key: bytes, value: bytes) -> None:
        """A record of ``client.events``; raises DecodeError."""
        if not self._wanted(key):
            return
        event = self._codec.decode(ClientEvent, value)
        if event.kind != "ack" or event.frame_sequence is None or event.relayed_at_us is None:
            return
        held = self._session(event.session_id)
        found = held.frames.pop(event.frame_sequence, None)
        if found is not None:
            held.seen_until = max(held.seen_until, event.frame_sequence)
            self._spans.write(*found, Shown(event.relayed_at_us, event.rendered_at_us))

    def _session(self, session_id: str) -> _Held:
        held = self._held.pop(session_id, None) or _Held()
        self._held[session_id] = held
        if len(self._held) > HELD_SESSIONS:
            self._held.popitem(last=False)
        return held

    def _wanted(self, key: bytes) -> bool:
        """By the key alone, so that nothing is decoded of the sessions that are not traced."""
        wanted = self._chosen.get(key)
        if wanted is None:
            if len(self._chosen) > 100_000:
                self._chosen.clear()
            wanted = self._chosen[key] = sampled(key.decode(errors="replace"), self._share)
        return wanted


def trace(settings: Settings, codec: Codec, exporter: SpanExporter, metrics: Metrics, stop: Stop) -> None:
    """Trace what is published from now on, until ``stop`` is set. Blocks; raises what the consumer raises."""
    spans = Spans(exporter, metrics)
    tracer = SessionTracer(spans, codec, settings.trace_share)
    source = consumer(settings, "traces", auto_offset_reset="latest")
    source.subscribe([settings.topic(AVATAR_FRAMES), settings.topic(CLIENT_EVENTS)])
    try:
        while not stop.is_set():
            _take(tracer, source, settings.topic(AVATAR_FRAMES))
    finally:
        source.close()
        spans.close()


def _take(tracer: SessionTracer, source: Consumer, frames: str) -> None:
    messages: Sequence[Message] = source.consume(CONSUME_RECORDS, CONSUME_WAIT_S)
    for message in messages:
        key, value = message.key(), message.value()
        if message.error() is not None or not isinstance(key, bytes) or value is None:
            continue
        try:
            if message.topic() == frames:
                tracer.take_frame(key, value, message.timestamp()[1] * 1_000)
            else:
                tracer.take_event(key, value)
        except DecodeError as error:
            log.debug("not traced: %s", error)  # the sink sets it aside


class _GivenIds(IdGenerator):
    """Hands out the ids that were put into it."""

    def __init__(self) -> None:
        self.trace = 0
        self.span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Counted(SpanExporter):
    """An exporter whose spans are counted by what became of them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        outcome = "exported" if result is SpanExportResult.SUCCESS else "lost"
        self._metrics.count("spans_total", len(spans), outcome=outcome)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
