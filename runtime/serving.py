"""What roles that listen have in common: a socket, waiting for Kafka, and an end that is asked for from outside."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from runtime.errors import BrokerError, SettingsError
from runtime.lifecycle import Role

log = logging.getLogger(__name__)

BACKLOG: Final = 4_096
"""Connections that wait to be accepted: thousands of viewers come back at once after a restart."""
LOOK_EVERY_S: Final = 0.1
ASK_EVERY_S: Final = 0.25


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises SettingsError if the port is taken."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}; set AFFECTSTREAM_PORT") from error


async def until_stopped(role: Role) -> None:
    """Return once ``role.stop`` is set."""
    while not role.stop.is_set():  # noqa: ASYNC110 - the flag is set from a signal handler
        await asyncio.sleep(LOOK_EVERY_S)


async def until_broker_answers(ask: Callable[[], object]) -> None:
    """Call ``ask`` in a thread until it raises no BrokerError any more; the first one is told."""
    told = False
    while True:
        try:
            await asyncio.to_thread(ask)
        except BrokerError as error:
            if not told:
                log.warning("waiting for Kafka: %s", error)
                told = True
            await asyncio.sleep(ASK_EVERY_S)
        else:
            return
