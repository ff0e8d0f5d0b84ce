"""Which servers are believed to be who they say: those that the system, or SSL_CERT_FILE, vouches for."""

import ssl
from functools import cache


@cache
def trusted() -> ssl.SSLContext:
    """What connections are made with unless a session was given its own context."""
    return ssl.create_default_context()


def of(url: str, tls: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The same for one address: None where it speaks in the clear."""
    if not url.startswith(("wss:", "https:")):
        return None
    return trusted() if tls is None else tls
