"""FFmpeg's own WHIP muxer (through PyAV) as a client that is not ours: H.264 and Opus, no data channel."""

import asyncio
import datetime as dt
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.settings import Settings
from schemas.records import AudioChunk, SessionEnded, Signal, VideoFrame
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from tests.integration.test_whip import freed, start
from tests.support.edges import ingest, log_of
from tests.support.prerequisites import REPOSITORY
from tests.support.waiting import eventually_async

SECONDS = 4.0
pytestmark = pytest.mark.skipif("whip" not in av.formats_available, reason="this FFmpeg has no WHIP muxer")


def certificate(folder: Path) -> dict[str, str]:
    """A P-256 certificate: the muxer's own is of a curve that OpenSSL 3 refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whip")])
    now = dt.datetime.now(tz=dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


async def publish(url: str, options: dict[str, str]) -> tuple[int, str]:
    """Publish for some seconds; the publisher's exit code and what it said."""
    words = [f"{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.ffmpeg_publisher",
        url,
        str(SECONDS),
        *words,
        cwd=REPOSITORY,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace")


@pytest.mark.parametrize("profile", ["baseline", "high"])
async def test_ffmpeg_publishes(settings: Settings, tmp_path: Path, profile: str) -> None:
    with (
        ingest(settings) as running,
        log_of(settings, MEDIA_AUDIO, AudioChunk) as sound,
        log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures,
        log_of(settings, SIGNALS, Signal) as signals,
    ):
        opened = start(running, audio=True, video=True)
        options = {"authorization": opened["token"], "profile": profile}
        code, said = await publish(opened["whip_url"], options | certificate(tmp_path))
        assert code == 0, said
        await eventually_async(
            lambda: len(sound.read()) > 100 and len(pictures.read()) > 60, deadline_s=20, what="media in the log"
        )
        # Closing, the muxer deletes what Location named.
        await eventually_async(
            lambda: [one for one in signals.read() if one.payload == SessionEnded("deleted")], deadline_s=20
        )
        await freed(running)
        assert all((picture.width, picture.height) == (320, 240) for picture in pictures.records)
        loudest = max(int(np.abs(np.frombuffer(chunk.pcm, "<i2").astype(np.int32)).max()) for chunk in sound.records)
        assert 4_000 < loudest < 12_000


async def test_why_a_handshake_failed_is_logged(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with ingest(settings) as running:
        opened = start(running, audio=True, video=True)
        code, _ = await publish(opened["whip_url"], {"authorization": opened["token"]})
        assert code
        await eventually_async(lambda: running.metric("rejected_total", reason="handshake") == 1, deadline_s=30)
        await freed(running)
    assert "DTLS handshake failed" in caplog.text
