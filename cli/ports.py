"""Loopback ports that are free."""

import random
import socket
from typing import Final

PAGE_PORT: Final = 8420
"""Where a demo serves its page and its ingest edge if nobody says otherwise and the port is free."""

PORTS: Final = range(20_000, 32_000)
"""Below Linux's ephemeral range: a client that reconnects to a server which is down cannot be given the server's own
port as its source port, and so meet itself."""


def free_ports(count: int) -> tuple[int, ...]:
    """Different ports that nobody listens on now."""
    found: list[int] = []
    candidates = random.sample(PORTS, len(PORTS))
    while len(found) < count:
        port = candidates.pop()
        if is_free(port):
            found.append(port)
    return tuple(found)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        # As servers do: connections of a former server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
