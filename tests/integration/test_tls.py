"""TLS 1.3 and nothing older, at every port; and a client of ours from end to end over it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics.api import Context
from analytics.client import AnalyticsClient
from analytics.database import connect as open_database
from analytics.queries import Queries
from analytics.role import _serving as serving_analytics
from cli.certificates import make
from cli.telemetry import read as read_metrics
from client.session import Session
from runtime import tls
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import Tokens
from schemas.codec import Codec
from tests.support.edges import Running, egress, ingest
from tests.support.frames import FramePublisher

CLOCK = SystemClock()
HOST = "127.0.0.1"


@dataclass
class Secure:
    """Every kind of port, over TLS."""

    settings: Settings
    folder: Path
    edge: Running
    relay: Running
    ports: dict[str, int]
    """By what listens."""

    def trusting(self, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.maximum_version = newest
        return context


@pytest.fixture
def certified(settings: Settings, tmp_path: Path) -> Settings:
    make(tmp_path, [HOST, "localhost"], days=1, now=datetime.now(UTC))
    files = {"tls_certificate": str(tmp_path / "server.pem"), "tls_key": str(tmp_path / "server-key.pem")}
    return settings.model_copy(update=files)


@pytest.fixture
def secure(certified: Settings, tmp_path: Path) -> Iterator[Secure]:
    with ExitStack() as stack:
        relay = stack.enter_context(egress(certified))
        edge = stack.enter_context(ingest(certified.model_copy(update={"public_egress_url": relay.ws})))
        database = open_database(certified)
        stack.callback(database.close)
        listener = stack.enter_context(socket.create_server((HOST, 0)))
        context = Context(certified, Queries(database, {}), Codec(), CLOCK, Metrics("analytics"))
        stack.enter_context(serving_analytics(context, listener, threading.Event()))
        metrics = Metrics("ingest").serve(HOST, 0, tls.server_context(certified))
        ports = {
            "ingest": edge.port, "egress": relay.port, "analytics": listener.getsockname()[1], "metrics": metrics
        }  # fmt: skip
        yield Secure(certified, tmp_path, edge, relay, ports)


def asked(port: int, path: str, context: ssl.SSLContext) -> tuple[str | None, bytes]:
    """The version spoken, and the first line of the answer."""
    with socket.create_connection((HOST, port), 10) as plain, context.wrap_socket(plain, server_hostname=HOST) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        return wire.version(), wire.makefile("rb").readline()


def test_every_port_speaks_tls_1_3_and_nothing_older(secure: Secure) -> None:
    for what, port in secure.ports.items():
        path = "/metrics" if what == "metrics" else "/healthz"
        version, line = asked(port, path, secure.trusting())
        assert version == "TLSv1.3", what
        assert b" 200 " in line, (what, line)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            asked(port, path, secure.trusting(ssl.TLSVersion.TLSv1_2))
        with socket.create_connection((HOST, port), 10) as plain:
            plain.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            plain.settimeout(10)
            assert not _answer(plain).startswith(b"HTTP/"), f"{what} answers in the clear"
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(port, path, ssl.create_default_context())


def _answer(plain: socket.socket) -> bytes:
    try:
        return plain.recv(100)
    except ConnectionError:
        return b""


def test_who_does_not_shake_hands_hinders_nobody(secure: Secure) -> None:
    for what, port in secure.ports.items():
        path = "/metrics" if what == "metrics" else "/healthz"
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection((HOST, port), 10))
            assert b" 200 " in asked(port, path, secure.trusting())[1], what


def test_with_a_client_ca_only_its_certificates_come_in(certified: Settings, tmp_path: Path) -> None:
    asking = certified.model_copy(update={"tls_client_ca": str(tmp_path / "ca.pem")})
    port = Metrics("ingest").serve(HOST, 0, tls.server_context(asking))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(port, "/metrics", trusting)
    trusting.load_cert_chain(tmp_path / "server.pem", tmp_path / "server-key.pem")
    assert b" 200 " in asked(port, "/metrics", trusting)[1]


async def test_a_session_from_end_to_end(secure: Secure) -> None:
    """Consent in, media out, frames back: over https and wss alone."""
    publisher = FramePublisher(secure.settings, CLOCK)
    seen: list[dict[str, Any]] = []
    session = await Session.create(secure.edge.url, audio=True, tls=secure.trusting())
    assert session.opened.media_url.startswith("wss://")
    async with session:
        async with asyncio.timeout(30):
            watching = session.watch()
            assert (await anext(watching))["type"] == "welcome"
            await session.send_audio(bytes(1_280))
            assert await session.drained()
            await asyncio.to_thread(publisher.publish, session.session_id, 0, 1, 2)
            while sum(message["type"] == "avatar_frame" for message in seen) < 3:
                seen.append(await anext(watching))
    frames = [message["sequence"] for message in seen if message["type"] == "avatar_frame"]
    assert frames == [0, 1, 2]
    assert secure.edge.metric("records_out_total", topic="media.audio") >= 1


def test_our_commands_trust_the_file_that_is_named(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.folder / "ca.pem"))
    tls.client_context.cache_clear()
    try:
        assert read_metrics(secure.ports["metrics"], "https").values
        now_s = CLOCK.now_us() // 1_000_000
        token = Tokens(secure.settings.token_key).operator(issued_at_s=now_s, ttl_s=60)
        with AnalyticsClient(f"https://{HOST}:{secure.ports['analytics']}", token) as api:
            assert api.sessions() == []
    finally:
        tls.client_context.cache_clear()
