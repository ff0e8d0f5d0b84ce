"""The WebSocket server for viewers. The protocol is described in docs/protocol.md."""

import asyncio
import contextlib
import logging
import re
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from egress.hub import Hub, Viewer
from egress.projection import Instants, has_emotion_update, hop_spans_s
from egress.relay import Fused, Relay
from egress.wire import ENCODERS, SUBPROTOCOLS
from runtime.clock import Clock
from runtime.errors import QueueFull, TokenError
from runtime.kafka import Ledger, Publisher
from runtime.metrics import Metrics
from runtime.origins import origin_allowed
from runtime.rates import TokenBucket
from runtime.settings import Settings
from runtime.tokens import BEARER_PROTOCOL, Tokens, bearer
from schemas.close_codes import CloseCode
from schemas.codec import Codec
from schemas.records import ClientEvent, ClientEventKind
from schemas.topics import CLIENT_EVENTS
from schemas.vocabulary import Outcome, Stage

log = logging.getLogger(__name__)

PATH: Final = re.compile(r"/v1/sessions/([A-Za-z0-9_-]{1,128})/avatar")
MODALITY: Final = "avatar"
"""The ledger's word for what egress deals in: one frame to one viewer."""

MAX_VIEWERS: Final = 20_000
MAX_MESSAGE_BYTES: Final = 4_096
MESSAGES_PER_S: Final = 70.0
MESSAGES_BURST: Final = 200.0
CONGESTED_BYTES: Final = 16_384
"""More than this in the socket's buffer for half a second: the viewer is slow."""

CONGESTED_US: Final = 500_000
OVERFLOW_BYTES: Final = 524_288
"""Never more than this: a burst, for instance after fusion was restarted, has some 200 frames of room."""

SEND_BUFFER_BYTES: Final = 65_536
SWEEP_S: Final = 0.1
LEDGER_S: Final = 1.0


class SocketSink:
    """A viewer's socket; bytes go straight to the transport."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._behind_since_us: int | None = None
        self._transport: asyncio.Transport = connection.transport
        kernel: socket.socket | None = self._transport.get_extra_info("socket")
        if kernel is not None and kernel.family in {socket.AF_INET, socket.AF_INET6}:
            # Frames that lie in the kernel's buffers can no longer be replaced by newer ones: keep those small.
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, CONGESTED_BYTES)

    def congested(self, now_us: int) -> bool:
        unsent = self._transport.get_write_buffer_size()
        if unsent <= CONGESTED_BYTES:
            self._behind_since_us = None
            return False
        if self._behind_since_us is None:
            self._behind_since_us = now_us
        return unsent > OVERFLOW_BYTES or now_us - self._behind_since_us > CONGESTED_US

    def write(self, wire: bytes) -> None:
        if self._connection.state is State.OPEN and not self._transport.is_closing():
            self._transport.write(wire)


class Violation(Exception):  # noqa: N818 - it ends the connection, by intent
    """A viewer broke the protocol; close with this code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Egress:
    """Viewers on one side, the relay on the other. Everything here runs in the event loop's thread."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._codec = Codec()
        self._tokens = Tokens(settings.token_key)
        self._hub = Hub(ENCODERS)
        self._publisher = Publisher(settings, metrics, linger_ms=20)
        self._ledger = Ledger(self._publisher, self._codec, clock, Stage.EGRESS, metrics)
        self._connections: dict[Viewer, ServerConnection] = {}
        self._interest: Counter[str] = Counter()
        self._closers: set[asyncio.Task[None]] = set()
        self.relay = Relay(settings, clock, metrics, self._publisher, self._deliver)
        self.ready = False

    async def listen(self, listener: socket.socket) -> Server:
        """Serve viewers on ``listener`` until the server is closed."""
        return await serve(
            self._handle,
            sock=listener,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=16,
            ping_interval=10,
            ping_timeout=20,
            close_timeout=1,
            open_timeout=10,
            server_header=None,
            process_request=self._process_request,
            select_subprotocol=_select_subprotocol,
        )

    async def sweep(self) -> None:
        """Look after viewers and the ledger until cancelled; raises DeliveryFailed if entries or events were lost."""
        rounds = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            self._hub.sweep(self._clock.now_us(), self._close_expired)
            self._metrics.set("clients_connected", self._hub.count, kind="viewer")
            rounds += 1
            if rounds * SWEEP_S >= LEDGER_S:
                rounds = 0
                await self._write_ledger()

    async def close(self) -> None:
        """Stop reading and write what is left of the ledger."""
        await asyncio.to_thread(self.relay.stop)
        await self._write_ledger()
        await asyncio.to_thread(self._publisher.flush, 10.0)

    async def _write_ledger(self) -> None:
        tallies = self._hub.take_tallies()
        if not tallies:
            self._publisher.poll()
            return
        for session_id, tally in tallies.items():
            for outcome, count in (
                (Outcome.USED, tally.used),
                (Outcome.SLOW_CLIENT, tally.slow_client),
                (Outcome.DUPLICATE, tally.duplicate),
            ):
                if count:
                    self._ledger.note(session_id, MODALITY, outcome.value, count=count)
            self._metrics.count("records_out_total", tally.used, topic=MODALITY)
        await asyncio.to_thread(self._ledger.flush)

    def _deliver(self, batch: list[Fused]) -> None:
        for fused in batch:
            now = self._clock.now_us()
            if self._hub.deliver(fused.frame, fused.fused_at_us, now) and has_emotion_update(fused.frame):
                for hop, span in hop_spans_s(fused.frame, Instants(fused.fused_at_us, now)):
                    self._metrics.observe("hop_seconds", span, hop=hop)

    # Connections.

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path == "/healthz":
            status = HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE
            body = {"ready": self.ready, "viewers": self._hub.count}
            response = connection.respond(status, orjson.dumps(body).decode())
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            return response
        if PATH.fullmatch(path) is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "viewers connect to /v1/sessions/{id}/avatar\n")
        if self._hub.count >= MAX_VIEWERS:
            self._metrics.count("rejected_total", reason="too_many_viewers")
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_VIEWERS} viewers are connected\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        try:
            viewer = self._admit(connection)
        except Violation as violation:
            await connection.close(violation.code, str(violation))
            return
        except TokenError as error:
            self._metrics.count("rejected_total", reason=error.reason)
            wrong = error.reason in {"wrong_session", "missing_scope"}
            await connection.close(CloseCode.FORBIDDEN if wrong else CloseCode.BAD_TOKEN, str(error))
            return
        try:
            await self._serve(connection, viewer)
        except ConnectionClosed:
            pass
        except Violation as violation:
            self._metrics.count("rejected_total", reason=violation.code.name.lower())
            await connection.close(violation.code, str(violation))

    def _admit(self, connection: ServerConnection) -> Viewer:
        """The viewer behind a connection; raises TokenError or Violation."""
        request = connection.request
        assert request is not None
        headers, url = request.headers, urlsplit(request.path)
        if not origin_allowed(
            headers.get("Origin"),
            headers.get("Host"),
            self._settings.allowed_origins,
            (self._settings.public_ingest_url,),
        ):
            self._metrics.count("rejected_total", reason="origin")
            raise Violation(CloseCode.FORBIDDEN, "add the page's origin to AFFECTSTREAM_ALLOWED_ORIGINS")
        now_us = self._clock.now_us()
        token = bearer(
            headers.get("Authorization"),
            headers.get_all("Sec-WebSocket-Protocol"),
            next(iter(parse_qs(url.query).get("token", [])), None),
        )
        grant = self._tokens.verify(token, now_s=now_us / 1e6)
        matched = PATH.fullmatch(url.path)
        assert matched is not None
        grant.require(matched.group(1), "watch")
        return Viewer(
            viewer_id=secrets.token_hex(8),
            session_id=grant.session_id,
            format=SUBPROTOCOLS.get(connection.subprotocol or "", "json"),
            sink=SocketSink(connection),
            expires_at_us=grant.expires_at_s * 1_000_000,
        )

    async def _serve(self, connection: ServerConnection, viewer: Viewer) -> None:
        self._interest[viewer.session_id] += 1
        self.relay.watch(self._interest)
        events = _Events(self._codec, self._clock, self._publisher, viewer)
        try:
            if not await self._reading(connection, viewer.session_id):
                return
            welcome = {
                "type": "welcome",
                "session_id": viewer.session_id,
                "server_us": self._clock.now_us(),
                "format": viewer.format,
            }
            viewer.sink.write(ENCODERS[viewer.format]([welcome]))
            await self._watch(connection, viewer, events)
        finally:
            self._interest[viewer.session_id] -= 1
            if not self._interest[viewer.session_id]:
                del self._interest[viewer.session_id]
            self.relay.watch(self._interest)

    async def _reading(self, connection: ServerConnection, session_id: str) -> bool:
        """Wait until the session's frames are read; False if the viewer went away meanwhile."""
        reading = asyncio.ensure_future(self.relay.reading(session_id))
        closed = asyncio.ensure_future(connection.wait_closed())
        try:
            await asyncio.wait((reading, closed), return_when=asyncio.FIRST_COMPLETED)
            return not closed.done()
        finally:
            reading.cancel()
            closed.cancel()

    async def _watch(self, connection: ServerConnection, viewer: Viewer, events: "_Events") -> None:
        """Send the viewer frames, and take its messages until it goes; raises Violation."""
        self._hub.join(viewer, self._clock.now_us())
        self._connections[viewer] = connection
        events.write("viewer_joined")
        try:
            bucket = TokenBucket(MESSAGES_PER_S, MESSAGES_BURST)
            async for message in connection:
                if not bucket.take(self._clock.now_us()):
                    raise Violation(CloseCode.TOO_FAST, f"more than {MESSAGES_PER_S:g} messages a second")
                self._on_message(viewer, events, message)
        finally:
            self._hub.leave(viewer)
            del self._connections[viewer]
            events.write("viewer_left", value=float(viewer.skipped))

    def _on_message(self, viewer: Viewer, events: "_Events", text: str | bytes) -> None:
        message = _parsed(text)
        kind = message.get("type")
        if kind == "ping":
            pong = {"type": "pong", "client_us": message.get("client_us"), "server_us": self._clock.now_us()}
            viewer.sink.write(ENCODERS[viewer.format]([pong]))
        elif kind == "ack":
            sequence = _whole(message, "sequence")
            captured_us, relayed_us = self._hub.relayed(viewer.session_id, sequence) or (None, None)
            rendered_us = _whole(message, "rendered_at_us") if "rendered_at_us" in message else None
            events.write(
                "ack",
                frame_sequence=sequence,
                frame_captured_at_us=captured_us,
                relayed_at_us=relayed_us,
                rendered_at_us=rendered_us,
            )
            if captured_us is not None and rendered_us is not None and 0 <= rendered_us - captured_us <= 60_000_000:
                self._metrics.observe("hop_seconds", (rendered_us - captured_us) / 1e6, hop="tick_to_rendered")
        elif kind == "rating":
            value = message.get("value")
            if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 5:
                raise Violation(CloseCode.MALFORMED, "rating: value must be a number from 1 to 5")
            rated = _whole(message, "sequence") if "sequence" in message else None
            events.write("rating", value=float(value), frame_sequence=rated)
        else:
            raise Violation(CloseCode.MALFORMED, "unknown type of message: ack, rating and ping are known")

    def _close_expired(self, viewer: Viewer) -> None:
        connection = self._connections[viewer]
        if connection.state is State.OPEN:
            closer = asyncio.ensure_future(connection.close(CloseCode.BAD_TOKEN, "the token has expired"))
            self._closers.add(closer)
            closer.add_done_callback(self._closers.discard)


class _Events:
    """Writes one viewer's client events, numbered from 0."""

    def __init__(self, codec: Codec, clock: Clock, publisher: Publisher, viewer: Viewer) -> None:
        self._codec = codec
        self._clock = clock
        self._publisher = publisher
        self._viewer = viewer
        self._next = 0

    def write(self, kind: ClientEventKind, **facts: Any) -> None:
        """Write an event; one that the broker's queue does not take is given up and logged."""
        now_us = self._clock.now_us()
        event = ClientEvent(
            captured_at_us=now_us,
            received_at_us=now_us,
            kind=kind,
            sequence=self._next,
            session_id=self._viewer.session_id,
            client_id=self._viewer.viewer_id,
            **facts,
        )
        self._next += 1
        try:
            self._publisher.send(CLIENT_EVENTS, event.session_id, self._codec.encode(event))
        except QueueFull:
            log.exception("a client event (%s) is lost", kind)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Our format if one is offered; else echo the token's, as browsers insist on one of those that they offered."""
    del connection
    for subprotocol in offered:
        if subprotocol in SUBPROTOCOLS:
            return subprotocol
    return next((entry for entry in offered if entry.startswith(BEARER_PROTOCOL)), None)


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    with contextlib.suppress(orjson.JSONDecodeError):
        message = orjson.loads(text) if isinstance(text, str) else None
        if isinstance(message, dict):
            return message
    raise Violation(CloseCode.MALFORMED, "send text messages that are JSON objects")


def _whole(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise Violation(CloseCode.MALFORMED, f"{name} must be a whole number from 0")
    return value
