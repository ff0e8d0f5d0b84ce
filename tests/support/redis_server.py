"""A real Redis for tests: a process of its own that keeps nothing, plain or with TLS 1.3 and a named user."""

import datetime as dt
import ipaddress
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runtime.lifecycle import die_with_parent
from tests.support.prerequisites import missing
from tests.support.processes import free_port
from tests.support.waiting import eventually

USER = "edge"
PASSWORD = "not-a-secret"


class RedisServer:
    """``redis-server`` (or ``valkey-server``) on a loopback port; ``folder`` holds its log and certificates."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            missing("redis-server or valkey-server (Debian: apt-get install redis-server)")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        listening = ["--port", str(self.port)]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.refused_urls: dict[str, str] = {}
        """Addresses that the server must not answer, by what is wrong with them."""
        if tls:
            authority, certificate, key = _certificates(folder)
            acl = folder / "users.acl"
            acl.write_text(f"user default off\nuser {USER} on >{PASSWORD} ~* &* +@all\n", encoding="utf-8")
            listening = [
                "--port", "0", "--tls-port", str(self.port), "--tls-cert-file", str(certificate),
                "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority), "--tls-auth-clients", "no",
                "--tls-protocols", "TLSv1.3", "--aclfile", str(acl),
            ]  # fmt: skip
            trusted = f"ssl_ca_certs={authority}"
            self.url = f"rediss://{USER}:{PASSWORD}@127.0.0.1:{self.port}/0?{trusted}"
            self.refused_urls = {
                "no TLS": f"redis://{USER}:{PASSWORD}@127.0.0.1:{self.port}/0",
                "no user": f"rediss://127.0.0.1:{self.port}/0?{trusted}",
                "wrong password": f"rediss://{USER}:wrong@127.0.0.1:{self.port}/0?{trusted}",
                "unknown authority": f"rediss://{USER}:{PASSWORD}@127.0.0.1:{self.port}/0",
            }
        self._command = [
            program, *listening, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder),
        ]  # fmt: skip

    def start(self) -> None:
        """Start it (again, empty) and return once it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        said = self._log.read_text(encoding="utf-8").count("Ready to accept connections")
        eventually(
            lambda: self._log.read_text(encoding="utf-8").count("Ready to accept connections") > said,
            what=lambda: self._log.read_text(encoding="utf-8")[-2_000:],
        )

    def freeze(self) -> None:
        """SIGSTOP: it holds its connections, and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; all that it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path, *, tls: bool = False) -> Iterator[RedisServer]:
    """A server that runs; killed at the end."""
    server = RedisServer(folder, tls=tls)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files of an authority's certificate, and of a server's certificate for loopback and its key."""
    now = dt.datetime.now(dt.UTC)

    def certified(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(by, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM)

    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, certificate, key = folder / "authority.pem", folder / "server.pem", folder / "server.key"
    authority.write_bytes(certified("authority", authority_key, authority_key, ca=True))
    certificate.write_bytes(certified("server", server_key, authority_key, ca=False))
    key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return authority, certificate, key
