"""A receiver of traces by OTLP over HTTP, as a collector is one."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    attributes: dict[str, object]


@dataclass
class Receiver:
    """What came, and what to answer."""

    endpoint: str = ""
    status: int = 200
    requests: int = 0
    spans: list[Received] = field(default_factory=list)

    def traces(self) -> dict[bytes, dict[str, Received]]:
        """Spans by name, of each trace."""
        found: dict[bytes, dict[str, Received]] = {}
        for span in list(self.spans):
            found.setdefault(span.trace_id, {})[span.name] = span
        return found

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for by_resource in request.resource_spans:
            service = next(a.value.string_value for a in by_resource.resource.attributes if a.key == "service.name")
            for by_scope in by_resource.scope_spans:
                for span in by_scope.spans:
                    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
                    self.spans.append(
                        Received(
                            service, span.name, span.trace_id, span.span_id, span.parent_span_id,
                            span.start_time_unix_nano, span.end_time_unix_nano, values,
                        )
                    )  # fmt: skip


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free loopback port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests += 1
            if receiver.status == 200 and self.path == "/v1/traces":
                receiver.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(receiver.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="otlp-receiver")
    thread.start()
    receiver.endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
