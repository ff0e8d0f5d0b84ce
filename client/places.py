"""Where a service can be reached, when there is more than one place. Pure."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

PING_S: Final = 1.0
PONG_S: Final = 1.5
"""With several places, one that says nothing for so long is left: after 2.5 s at most."""

SCHEMES: Final = {"http": "ws", "https": "wss"}


class Places:
    """The same resource at several servers: one is used until it fails, then the next."""

    def __init__(self, first: str, servers: Sequence[str] = ()) -> None:
        """``first`` is the resource's whole address; ``servers`` are addresses of others that have it, too."""
        path = urlsplit(first).path
        found = [first]
        for server in servers:
            parts = urlsplit(server)
            scheme = SCHEMES.get(parts.scheme, parts.scheme)
            # A server may be mounted somewhere: its own path comes first.
            url = urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, "", ""))
            if url not in found:
                found.append(url)
        self._urls = tuple(found)
        self._at = 0

    @property
    def url(self) -> str:
        """The one to use now."""
        return self._urls[self._at]

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self._urls) > 1

    def failed(self) -> None:
        """Use the next one from now on."""
        self._at = (self._at + 1) % len(self._urls)


def keeping_alive(places: Places) -> dict[str, Any]:
    """Arguments for a WebSocket's connection. Where there is no other place, a slow one is waited for."""
    return {"ping_interval": PING_S, "ping_timeout": PONG_S} if places.several else {}
