"""TLS of everything that listens: version 1.3 and no other, with the certificate that the settings name.

Our own clients trust what the system trusts, or the file that SSL_CERT_FILE names, as other programs do.
"""

import ssl
from functools import cache, partial
from typing import Any, Final

from runtime.errors import SettingsError
from runtime.settings import Settings

HANDSHAKE_S: Final = 10.0
"""A peer that has not shaken hands by then holds its connection no longer."""


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """What a listening socket is wrapped in; None: the settings name no certificate, and it speaks in the clear.

    With ``tls_client_ca``, clients must show a certificate that it signed. Raises SettingsError, which says which file
    cannot be used and why.
    """
    if not settings.tls_certificate:
        if settings.tls_key or settings.tls_client_ca:
            raise SettingsError("AFFECTSTREAM_TLS_CERTIFICATE is missing: the key and the client CA need it")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        msg = f"AFFECTSTREAM_TLS_CERTIFICATE and _KEY cannot be used ({settings.tls_certificate}): {error}"
        raise SettingsError(msg) from error
    if settings.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except (OSError, ssl.SSLError) as error:
            msg = f"AFFECTSTREAM_TLS_CLIENT_CA cannot be used ({settings.tls_client_ca}): {error}"
            raise SettingsError(msg) from error
    return context


def uvicorn_tls(settings: Settings) -> dict[str, Any]:
    """Arguments of uvicorn.Config: its own ones would let older versions of TLS in. Raises SettingsError."""
    context = server_context(settings)
    return {} if context is None else {"ssl_context_factory": partial(_given, context)}


def scheme(settings: Settings, plain: str = "http") -> str:
    """``https`` or ``http``; with ``plain="ws"``, ``wss`` or ``ws``."""
    return f"{plain}s" if settings.tls_certificate else plain


@cache
def client_context() -> ssl.SSLContext:
    """What our own commands reach a service by: certificates are verified; SSL_CERT_FILE names another CA."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _given(context: ssl.SSLContext, _config: object, _default: object) -> ssl.SSLContext:
    return context


def _no_password() -> str:
    """Instead of asking at a terminal, where nobody sits."""
    raise SettingsError("AFFECTSTREAM_TLS_KEY is encrypted: give a key without a passphrase, readable by the role only")
