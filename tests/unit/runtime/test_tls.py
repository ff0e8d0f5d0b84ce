"""What TLS is made of."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.certificates import make
from runtime.errors import SettingsError
from runtime.settings import Settings
from runtime.tls import scheme, server_context, uvicorn_tls


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, ["localhost"], days=1, now=datetime.now(UTC))
    return tmp_path


def settings(folder: Path, **more: str) -> Settings:
    files = {"tls_certificate": folder / "server.pem", "tls_key": folder / "server-key.pem"}
    return Settings.from_env({}, **{**{name: str(path) for name, path in files.items()}, **more})


def test_without_a_certificate_nothing_is_wrapped():
    plain = Settings.from_env({})
    assert server_context(plain) is None
    assert uvicorn_tls(plain) == {}
    assert (scheme(plain), scheme(plain, "ws")) == ("http", "ws")


def test_only_the_newest_version_is_spoken(folder):
    context = server_context(settings(folder))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_mode == ssl.CERT_NONE
    assert (scheme(settings(folder)), scheme(settings(folder), "ws")) == ("https", "wss")
    asking = server_context(settings(folder, tls_client_ca=str(folder / "ca.pem")))
    assert asking is not None
    assert asking.verify_mode == ssl.CERT_REQUIRED


def test_a_key_in_the_certificates_file_will_do(folder):
    both = folder / "both.pem"
    both.write_text((folder / "server.pem").read_text() + (folder / "server-key.pem").read_text())
    assert server_context(settings(folder, tls_certificate=str(both), tls_key=""))


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"tls_certificate": "/nowhere.pem"}, "AFFECTSTREAM_TLS_CERTIFICATE and _KEY cannot be used"),
        ({"tls_key": ""}, "AFFECTSTREAM_TLS_CERTIFICATE and _KEY cannot be used"),
        ({"tls_certificate": ""}, "AFFECTSTREAM_TLS_CERTIFICATE is missing"),
        ({"tls_client_ca": "/nowhere.pem"}, "AFFECTSTREAM_TLS_CLIENT_CA cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named(folder, wrong, said):
    with pytest.raises(SettingsError, match=said):
        server_context(settings(folder, **wrong))


def test_the_key_is_for_its_owner_only_and_the_cas_is_nowhere(folder):
    assert (folder / "server-key.pem").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in folder.iterdir()} == {"ca.pem", "server.pem", "server-key.pem"}
    make(folder, ["127.0.0.1"], days=1, now=datetime.now(UTC))  # over what is there
