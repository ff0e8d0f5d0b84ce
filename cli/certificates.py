"""``affectstream certificates``: a CA and a server's certificate for development and tests."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

NAMES: Final = ("localhost", "127.0.0.1", "::1")
SKEW: Final = timedelta(minutes=5)
"""Clocks of other machines may be behind."""


def certificates(
    folder: Annotated[Path, typer.Argument(help="Where they are put; files that are there are replaced.")],
    name: Annotated[
        list[str] | None,
        typer.Option(help="A host name or address of the server; may be repeated. Default: this machine's loopback."),
    ] = None,
    days: Annotated[int, typer.Option(help="For how long they are good.", min=1, max=825)] = 30,
) -> None:
    """Make certificates for development: a CA of its own, and one that it signed for the names given.

    The CA's key is not kept: it signs nothing else, ever. In production take certificates from your own CA.
    """
    from runtime.clock import SystemClock  # noqa: PLC0415

    make(folder, name or NAMES, days=days, now=datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC))
    typer.echo(f"AFFECTSTREAM_TLS_CERTIFICATE={folder / 'server.pem'}")
    typer.echo(f"AFFECTSTREAM_TLS_KEY={folder / 'server-key.pem'}")
    typer.echo(f"SSL_CERT_FILE={folder / 'ca.pem'}")


def make(folder: Path, names: list[str] | tuple[str, ...], *, days: int, now: datetime) -> None:
    """Write ``ca.pem``, ``server.pem`` and ``server-key.pem`` (mode 0600): P-256, SHA-256."""
    # Of use to this command alone, and slow to load.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    def alternative(text: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(text))
        except ValueError:
            return x509.DNSName(text)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = named("affectstream development CA")

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )

    uses = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    usage = dict.fromkeys(uses, False)
    ca = (
        begun(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        begun(named(names[0]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([alternative(text) for text in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "server-key.pem", secret, 0o600)
    _write(folder / "server.pem", server.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
