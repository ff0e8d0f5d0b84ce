"""The WebSocket server for viewers. The protocol is described in docs/protocol.md."""

import asyncio
import logging
import re
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from egress.audience import MESSAGES_BURST, MESSAGES_PER_S, Audience, Violation, parsed
from egress.events import Events
from egress.hub import Viewer
from egress.lines import Lines
from egress.sink import SocketSink
from egress.viewer_connection import ViewerConnection
from egress.wall import WALL_PATH, Wall, WallConnection, picked, presence
from egress.wire import SUBPROTOCOLS, WIRES
from runtime.addresses import client_address, parse_networks
from runtime.clock import Clock
from runtime.errors import TokenError
from runtime.garbage import collect_rarely
from runtime.metrics import Metrics
from runtime.origins import origin_allowed
from runtime.rates import KeyedBuckets, TokenBucket
from runtime.settings import Settings
from runtime.tls import HANDSHAKE_S, server_context
from runtime.tokens import BEARER_PROTOCOL, OPERATOR, Grant, Tokens, bearer
from schemas.close_codes import CloseCode

if TYPE_CHECKING:
    from egress.fan_out import FanOut

log = logging.getLogger(__name__)

PATH: Final = re.compile(r"/v1/sessions/([A-Za-z0-9_-]{1,128})/avatar")
ENDPOINTS: Final = ("/v1/sessions/{session_id}/avatar", WALL_PATH)
"""Every path that takes a connection."""

MAX_VIEWERS: Final = 20_000
"""A bound for memory; how many can be served is measured (:mod:`egress.backlog`)."""
RETRY_AFTER_S: Final = 2
COMPILED_FROM: Final = 64
"""So many viewers are sent frames by compiled code. Few are not worth the 120 MiB of memory that the compiler takes."""

MAX_MESSAGE_BYTES: Final = 4_096
PRESENCE_S: Final = 1.0


class Egress:
    """Viewers on one side, the relay on the other. Everything here runs in the event loop's thread."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._tokens = Tokens(settings.token_key)
        self._lines = Lines()
        self._audience = Audience(settings, clock, metrics, WIRES)
        self._connections: dict[Viewer, ServerConnection] = {}
        self._closers: set[asyncio.Task[None]] = set()
        self._compiling: asyncio.Task[None] | None = None
        self._walls = 0
        self._proxies = parse_networks(settings.trusted_proxies)
        self._by_address = KeyedBuckets(settings.requests_per_s)
        self._by_tenant = KeyedBuckets(settings.tenant_requests_per_s)
        self.relay = self._audience.relay
        self.ready = False

    async def listen(self, listener: socket.socket) -> Server:
        """Serve viewers on ``listener`` until the server is closed; raises SettingsError if TLS cannot be had."""
        context = server_context(self._settings)
        patience: dict[str, Any] = {} if context is None else {"ssl_handshake_timeout": HANDSHAKE_S}
        return await serve(
            self._handle,
            sock=listener,
            ssl=context,
            **patience,
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
            create_connection=ViewerConnection,
        )

    async def sweep(self) -> None:
        """Look after viewers and the ledger until cancelled; raises DeliveryFailed if entries or events were lost."""
        await self._audience.sweep(self._close)

    async def close(self) -> None:
        """Stop reading and write what is left of the ledger."""
        if self._compiling is not None:
            await self._compiling
        await self._audience.close()

    # Connections.

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path == "/healthz":
            status = HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE
            body = {"ready": self.ready, "viewers": self._audience.hub.count, "compiled": self._audience.hub.compiled}
            response = connection.respond(status, orjson.dumps(body).decode())
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            return response
        if path != WALL_PATH and PATH.fullmatch(path) is None:
            return connection.respond(
                HTTPStatus.NOT_FOUND, f"viewers connect to /v1/sessions/{{id}}/avatar, walls to {WALL_PATH}\n"
            )
        peer = connection.remote_address
        forwarded = ",".join(request.headers.get_all("X-Forwarded-For")) or None
        address = client_address(str(peer[0]) if peer else "", forwarded, self._proxies)
        if not self._by_address.take(address, self._clock.now_us()):
            self._metrics.count("rejected_total", reason="too_fast")
            limit = f"{self._by_address.rate_per_s:g} connections a second from one address"
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, f"at most {limit}: wait\n")
        if not self.relay.has_room():
            return self._full(connection, "overloaded", "frames are late already")
        if self._audience.hub.count >= MAX_VIEWERS:
            return self._full(connection, "too_many_viewers", f"{MAX_VIEWERS} viewers are connected")
        return None

    def _full(self, connection: ServerConnection, reason: str, why: str) -> Response:
        self._metrics.count("rejected_total", reason=reason)
        response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}: come again, or elsewhere\n")
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    async def _handle(self, connection: ServerConnection) -> None:
        try:
            grant, path = self._verified(connection)
            serving = self._admit_wall(connection, grant) if path == WALL_PATH else self._admit(connection, grant, path)
        except Violation as violation:
            await connection.close(violation.code, str(violation))
            return
        except TokenError as error:
            self._metrics.count("rejected_total", reason=error.reason)
            await connection.close(CloseCode.FORBIDDEN if error.forbidden else CloseCode.BAD_TOKEN, str(error))
            return
        try:
            await serving
        except ConnectionClosed:
            pass
        except Violation as violation:
            await self._turn_away(connection, violation)

    async def _turn_away(self, connection: ServerConnection, violation: Violation) -> None:
        self._metrics.count("rejected_total", reason=violation.code.name.lower())
        await connection.close(violation.code, str(violation))

    def _verified(self, connection: ServerConnection) -> tuple[Grant, str]:
        """What the connection's token allows, and its path; raises TokenError or Violation."""
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
        token = bearer(
            headers.get("Authorization"),
            headers.get_all("Sec-WebSocket-Protocol"),
            next(iter(parse_qs(url.query).get("token", [])), None),
        )
        grant = self._tokens.verify(token, now_s=self._clock.now_us() / 1e6, audience="egress")
        if not self._by_tenant.take(grant.tenant, self._clock.now_us()):
            self._metrics.count("rejected_total", reason="too_fast")
            raise Violation(
                CloseCode.TOO_FAST, f"more than {self._by_tenant.rate_per_s:g} connections a second of one tenant"
            )
        return grant, url.path

    def _admit(self, connection: ServerConnection, grant: Grant, path: str) -> Coroutine[Any, Any, None]:
        """What serves a viewer of one session; raises TokenError."""
        matched = PATH.fullmatch(path)
        assert matched is not None
        grant.require(matched.group(1), "watch")
        return self._serve(connection, grant)

    def _admit_wall(self, connection: ServerConnection, grant: Grant) -> Coroutine[Any, Any, None]:
        """What serves a wall; raises TokenError."""
        grant.require(OPERATOR, "observe")
        return self._serve_wall(connection, grant)

    async def _serve(self, connection: ServerConnection, grant: Grant) -> None:
        """Send the viewer the frames of its session, until it goes."""
        self._audience.interested(grant.session_id, 1)
        try:
            if not await self._reading(connection, grant.session_id):
                return
            with self._sink(connection) as sink:
                viewer = Viewer(
                    viewer_id=secrets.token_hex(8),
                    session_id=grant.session_id,
                    format=SUBPROTOCOLS.get(connection.subprotocol or "", "json"),
                    sink=sink,
                    expires_at_us=grant.expires_at_s * 1_000_000,
                    variant=grant.variant,
                    started_at_us=grant.started_at_us,
                )
                self._audience.welcome(viewer)
                await self._watch(connection, viewer)
        finally:
            self._audience.interested(grant.session_id, -1)

    def _sink(self, connection: ServerConnection) -> closing[SocketSink]:
        assert isinstance(connection, ViewerConnection)
        return closing(SocketSink(connection, self._lines))

    async def _serve_wall(self, connection: ServerConnection, grant: Grant) -> None:
        """Serve a wall until it goes."""
        with self._sink(connection) as sink:
            shared = WallConnection(
                wall_id=f"wall-{secrets.token_hex(6)}",
                format=SUBPROTOCOLS.get(connection.subprotocol or "", "json"),
                sink=sink,
                expires_at_us=grant.expires_at_s * 1_000_000,
                tenant=grant.tenant,
            )
            await self._show(connection, shared)

    async def _show(self, connection: ServerConnection, shared: WallConnection) -> None:
        """Send the wall the frames of the sessions that it picks, and who is present, until it goes."""
        events: dict[Viewer, Events] = {}

        def join(viewer: Viewer) -> None:
            self._audience.interested(viewer.session_id, 1)
            events[viewer] = self._join(connection, viewer)

        def leave(viewer: Viewer) -> None:
            self._leave(viewer, events.pop(viewer))
            self._audience.interested(viewer.session_id, -1)

        wall = Wall(shared, join, leave)
        encode = WIRES.encoders[shared.format]
        self._walls += 1
        self.relay.survey(on=True)
        telling = asyncio.create_task(self._tell_presence(connection, shared))
        try:
            welcome = {"type": "welcome", "server_us": self._clock.now_us(), "format": shared.format}
            shared.sink.write(encode([welcome]))
            async for message in self._messages(connection):
                kind = message.get("type")
                if kind == "watch":
                    try:
                        wall.pick(picked(message, shared.tenant))
                    except ValueError as error:
                        raise Violation(CloseCode.MALFORMED, str(error)) from error
                elif kind == "ping":
                    shared.sink.write(encode([self._audience.pong(message)]))
                else:
                    raise Violation(CloseCode.MALFORMED, "unknown type of message: watch and ping are known")
        finally:
            telling.cancel()
            wall.close()
            self._walls -= 1
            if not self._walls:
                self.relay.survey(on=False)

    async def _tell_presence(self, connection: ServerConnection, shared: WallConnection) -> None:
        while True:
            now_us = self._clock.now_us()
            if now_us >= shared.expires_at_us:
                await connection.close(CloseCode.BAD_TOKEN, "the token has expired")
                return
            if not shared.sink.congested(now_us):
                shared.sink.write(
                    WIRES.encoders[shared.format]([presence(self.relay.present(now_us), now_us, shared.tenant)])
                )
            await asyncio.sleep(PRESENCE_S)

    async def _messages(self, connection: ServerConnection) -> AsyncIterator[Mapping[str, Any]]:
        """What the other end says until it goes; raises Violation."""
        bucket = TokenBucket(MESSAGES_PER_S, MESSAGES_BURST)
        async for message in connection:
            self._check_rate(bucket)
            yield parsed(message)

    def _check_rate(self, bucket: TokenBucket) -> None:
        if not bucket.take(self._clock.now_us()):
            raise Violation(CloseCode.TOO_FAST, f"more than {MESSAGES_PER_S:g} messages a second")

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

    async def _watch(self, connection: ServerConnection, viewer: Viewer) -> None:
        """Send the viewer frames, and take its messages until it goes; raises Violation."""
        assert isinstance(connection, ViewerConnection)
        events = self._join(connection, viewer)
        bucket = TokenBucket(MESSAGES_PER_S, MESSAGES_BURST)

        def take(message: str | bytes) -> None:
            self._check_rate(bucket)
            self._audience.take(viewer, events, parsed(message))

        def take_at_once(payload: bytes) -> None:
            try:
                take(payload.decode(errors="replace"))
            except Violation as violation:
                connection.taking = None
                self._later(self._turn_away(connection, violation))

        connection.taking = take_at_once
        try:
            async for message in connection:
                take(message)
        finally:
            connection.taking = None
            self._leave(viewer, events)

    def _join(self, connection: ServerConnection, viewer: Viewer) -> Events:
        """Send the viewer frames from now on; returns what its events are written with."""
        self._connections[viewer] = connection
        events = self._audience.join(viewer)
        if self._compiling is None and self._audience.hub.count >= COMPILED_FROM:
            self._compiling = asyncio.create_task(self._compile())
        return events

    async def _compile(self) -> None:
        """Have frames sent by compiled code; where that cannot be had, it is said, and all goes on without."""
        try:
            fan_out = await asyncio.to_thread(_compiled, self._lines)
        except Exception:
            log.exception("frames are sent without compiled code")
        else:
            self._audience.hub.send_by(fan_out)

    def _leave(self, viewer: Viewer, events: Events) -> None:
        self._audience.leave(viewer, events)
        del self._connections[viewer]

    def _close(self, viewer: Viewer, code: CloseCode, reason: str) -> None:
        connection = self._connections[viewer]
        if connection.state is State.OPEN:
            self._later(connection.close(code, reason))

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        closer = asyncio.ensure_future(closing)
        self._closers.add(closer)
        closer.add_done_callback(self._closers.discard)


def _compiled(lines: Lines) -> "FanOut":
    from egress.fan_out import FanOut, compile_all  # noqa: PLC0415 - see COMPILED_FROM

    compile_all()
    collect_rarely()  # looking through what the compiler is made of takes 40 ms each time
    return FanOut(lines)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Our format if one is offered; else echo the token's, as browsers insist on one of those that they offered."""
    del connection
    for subprotocol in offered:
        if subprotocol in SUBPROTOCOLS:
            return subprotocol
    return next((entry for entry in offered if entry.startswith(BEARER_PROTOCOL)), None)
