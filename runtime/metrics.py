"""Prometheus metrics: every name, meaning and label defined once.

``METRICS`` is the one table; a name that is not in it does not type-check. Labels never carry a session, a subject or
anything else personal.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Final, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    make_wsgi_app,
    start_http_server,
)

Name = Literal[
    "role_ready",
    "sessions_active",
    "clients_connected",
    "records_in_total",
    "records_out_total",
    "bytes_in_total",
    "dropped_total",
    "dead_letters_total",
    "rejected_total",
    "lag_records",
    "hop_seconds",
    "batch_size",
    "inference_seconds",
    "queue_seconds",
    "engine_degraded",
    "engine_failures_total",
    "engine_replaced_total",
    "rows_inserted_total",
    "insert_seconds",
    "ticks_total",
    "signals_total",
    "discontinuities_total",
    "fusion_lag_seconds",
    "sessions_freed_total",
    "edge_pressure",
    "relay_backlog_seconds",
    "sessions_taken_over_total",
    "edge_shedding",
    "build_info",
    "spans_total",
]

LATENCY_BUCKETS: Final = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1,
    0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Definition:
    """Kind, meaning and labels of one metric."""

    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS


METRICS: Final[Mapping[Name, Definition]] = {
    "role_ready": Definition("gauge", "1 once the role does its work, 0 before and while it cannot.", ("role",)),
    "sessions_active": Definition("gauge", "Sessions that the role holds now."),
    "clients_connected": Definition("gauge", "Connections open now.", ("kind",)),
    "records_in_total": Definition("counter", "Records taken from a topic or a client.", ("topic",)),
    "records_out_total": Definition("counter", "Records acknowledged by a topic, or sent to a client.", ("topic",)),
    "bytes_in_total": Definition("counter", "Bytes of media received.", ("modality",)),
    "dropped_total": Definition("counter", "Items dropped, by the ledger's reason.", ("modality", "outcome")),
    "dead_letters_total": Definition("counter", "Records set aside as unreadable.", ("topic",)),
    "rejected_total": Definition("counter", "Requests and connections refused, by reason.", ("reason",)),
    "lag_records": Definition("gauge", "Records in the topic that the role has not yet taken.", ("topic", "partition")),
    "hop_seconds": Definition("histogram", "Time from one stamp to the next, and from capture to each.", ("hop",)),
    "batch_size": Definition(
        "histogram", "Items inferred together.", ("engine",), (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
    ),
    "inference_seconds": Definition("histogram", "Time a batch spent in the engine.", ("engine",)),
    "queue_seconds": Definition("histogram", "Time from taking an item to starting its batch.", ("engine",)),
    "engine_degraded": Definition("gauge", "1 while a fall-back answers for the engine.", ("engine",)),
    "engine_failures_total": Definition(
        "counter", "Batches and probes that the engine failed or was late for.", ("engine",)
    ),
    "engine_replaced_total": Definition("counter", "Times that the engine's process hung or crashed.", ("engine",)),
    "rows_inserted_total": Definition("counter", "Rows that ClickHouse acknowledged.", ("table",)),
    "insert_seconds": Definition("histogram", "Time of one insert.", ("table",)),
    "ticks_total": Definition("counter", "Ticks closed, by what closed them: both, max_wait, end.", ("closed_by",)),
    "signals_total": Definition("counter", "Signals by what fusion made of them.", ("outcome",)),
    "discontinuities_total": Definition("counter", "Frames that follow skipped ticks."),
    "fusion_lag_seconds": Definition("histogram", "From a tick's instant to the closing of the tick."),
    "sessions_taken_over_total": Definition("counter", "Sessions that another edge served before."),
    "edge_pressure": Definition(
        "gauge", "The worst of what the edge measures of itself; from 1 on it gives things up."
    ),
    "relay_backlog_seconds": Definition(
        "gauge", "How long frames wait in egress until they are sent; from 0.05 on it takes no more viewers."
    ),
    "edge_shedding": Definition(
        "gauge", "What it gives up: 1 pictures, 2 also their rate, 3 also new sessions; 0 nothing."
    ),
    "sessions_freed_total": Definition("counter", "Sessions whose state was freed, by why.", ("reason",)),
    "build_info": Definition("gauge", "Always 1: which version runs.", ("version",)),
    "spans_total": Definition("counter", "Spans of traces, by what became of them: exported, lost.", ("outcome",)),
}


class Metrics:
    """The metrics of one process, and what the kernel says of it (``process_*``, Linux). Thread-safe."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.registry = CollectorRegistry()
        self._metrics: dict[Name, Counter | Gauge | Histogram] = {}
        for name, definition in METRICS.items():
            full = f"affectstream_{name}"
            if definition.kind == "counter":
                self._metrics[name] = Counter(full, definition.meaning, definition.labels, registry=self.registry)
            elif definition.kind == "gauge":
                self._metrics[name] = Gauge(full, definition.meaning, definition.labels, registry=self.registry)
            else:
                self._metrics[name] = Histogram(
                    full, definition.meaning, definition.labels, registry=self.registry, buckets=definition.buckets
                )
        ProcessCollector(registry=self.registry)
        self.set("build_info", 1.0, version=version("affectstream"))
        self.ready(False)

    def ready(self, is_ready: bool) -> None:
        """Say whether the role does its work."""
        self.set("role_ready", 1.0 if is_ready else 0.0, role=self.role)

    def count(self, name: Name, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        metric = self._metrics[name]
        assert isinstance(metric, Counter)
        (metric.labels(**labels) if labels else metric).inc(amount)

    def counter(self, name: Name, **labels: str) -> Callable[[float], None]:
        """What adds to one counter, for those who count often: finding it by its labels costs more than adding."""
        metric = self._metrics[name]
        assert isinstance(metric, Counter)
        return (metric.labels(**labels) if labels else metric).inc

    def set(self, name: Name, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric = self._metrics[name]
        assert isinstance(metric, Gauge)
        (metric.labels(**labels) if labels else metric).set(value)

    def forget(self, name: Name, **labels: str) -> None:
        """No longer show the series with these labels: a lag of partitions that others have now is not ours to tell."""
        self._metrics[name].remove_by_labels(labels)

    def observe(self, name: Name, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        metric = self._metrics[name]
        assert isinstance(metric, Histogram)
        (metric.labels(**labels) if labels else metric).observe(value)

    def observer(self, name: Name, **labels: str) -> Callable[[float], None]:
        """What adds to one histogram, for those who observe often."""
        metric = self._metrics[name]
        assert isinstance(metric, Histogram)
        return (metric.labels(**labels) if labels else metric).observe

    def serve(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve ``/metrics`` from a daemon thread; returns the port, which differs from ``port`` if that was 0."""
        if tls is None:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
            return int(server.server_port)
        secure = make_server(host, port, make_wsgi_app(self.registry), _SecureServer, _SilentHandler)
        # Hands are shaken by the thread of each connection, at its first read: one that dawdles hinders nobody.
        secure.socket = tls.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=secure.serve_forever, name="metrics", daemon=True).start()
        return int(secure.server_port)


class _SecureServer(ThreadingMixIn, WSGIServer):
    """A thread a connection, as prometheus_client's own server; that one takes older versions of TLS, too."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that does not speak TLS, or an older one, is its own affair."""


class _SilentHandler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing of each request."""


class Stopwatch:
    """Measures a span for a histogram: ``watch = Stopwatch(); ...; metrics.observe(name, watch.seconds())``."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.perf_counter() - self._started
