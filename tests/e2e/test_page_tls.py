"""The page in a real browser over https and wss."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from cli.certificates import make
from client.session import Session
from client.trust import trusted
from runtime.clock import SystemClock
from runtime.settings import Settings
from runtime.tls import client_context
from tests.support.browser import require_browser, visit
from tests.support.edges import egress, ingest
from tests.support.frames import FramePublisher
from tests.support.processes import free_port

CLOCK = SystemClock()


def key_hash(certificate: Path) -> str:
    """What Chromium knows a certificate by: SHA-256 of its public key, in base64."""
    key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


async def test_the_page_follows_a_session_over_tls(settings: Settings, tmp_path: Path, monkeypatch) -> None:
    require_browser()
    make(tmp_path, ["127.0.0.1"], days=1, now=datetime.now(UTC))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for context in (trusted, client_context):
        context.cache_clear()
    port = free_port()
    secure = settings.model_copy(
        update={
            "tls_certificate": str(tmp_path / "server.pem"),
            "tls_key": str(tmp_path / "server-key.pem"),
            "public_ingest_url": f"https://127.0.0.1:{port}",
        }
    )
    publisher = FramePublisher(secure, CLOCK)
    with (
        egress(secure) as relay,
        ingest(secure.model_copy(update={"port": port, "public_egress_url": relay.ws})) as edge,
    ):
        async with await Session.create(edge.url, video=True) as session:
            stop = asyncio.Event()

            async def frames() -> None:
                sequence = 0
                while not stop.is_set():
                    await asyncio.to_thread(publisher.publish, session.session_id, sequence)
                    sequence += 1
                    await asyncio.sleep(0.03)

            publishing = asyncio.create_task(frames())
            try:
                url = f"{edge.url}/#session={session.session_id}&token={session.token}"
                seen = await asyncio.to_thread(visit, "watch", url, trusted=key_hash(tmp_path / "server.pem"))
            finally:
                stop.set()
                await publishing
    for context in (trusted, client_context):
        context.cache_clear()
    assert max(seen["scores"], key=seen["scores"].get) == "Happy"
    assert seen["messages"] > 10
    assert all(origin.startswith(("https://", "wss://")) for origin in seen["origins"])
    assert seen["errors"] == []
