"""Which web pages may connect: the Origin check, pure."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
ANY: Final = "*"


def origin_allowed(origin: str | None, host: str | None, allowed: str, own_urls: Iterable[str] = ()) -> bool:
    """Whether a request with these ``Origin`` and ``Host`` headers may go on.

    Programs send no Origin and may: a browser cannot be made to leave it out. ``allowed`` is the setting: origins,
    comma-separated, or ``*`` for any. Empty: our own page only, which is the one served from ``host`` or from one of
    ``own_urls``. The names of the loopback interface count as one host.
    """
    if origin is None:
        return True
    listed = [entry.strip() for entry in allowed.split(",") if entry.strip()]
    if listed:
        return ANY in listed or _place(origin) in {_place(entry) for entry in listed}
    place = _place(origin)
    if place is None:
        return False
    if host is not None and _place(f"{place[0]}://{host}") == place:
        return True
    return place in {_place(url) for url in own_urls if url}


def _place(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None if it is not one (``null``, of a file or a sandboxed frame)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    host = "127.0.0.1" if parts.hostname in LOOPBACK else parts.hostname
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)
