"""Egress as a role: relays frames to viewers until asked to stop."""

import asyncio
import logging
import socket

import uvloop

from egress.server import Egress
from runtime.errors import BrokerError, SettingsError
from runtime.garbage import collect_rarely
from runtime.lifecycle import Role
from runtime.tls import scheme

log = logging.getLogger(__name__)


def run(role: Role) -> None:
    """Serve until ``role.stop`` is set; viewers are told that the service restarts (close code 1012).

    Raises SettingsError if the port is taken, BrokerError or DeliveryFailed if Kafka fails for good.
    """
    with listen(role.settings.host, role.settings.port) as listener:
        collect_rarely()
        uvloop.run(serve(role, listener))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one."""
    try:
        return socket.create_server((host, port), backlog=4_096)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}; set AFFECTSTREAM_PORT") from error


async def serve(role: Role, listener: socket.socket) -> None:
    """Serve on ``listener`` until ``role.stop`` is set."""
    egress = Egress(role.settings, role.clock, role.metrics)
    server = await egress.listen(listener)
    log.info("listening on %s://%s:%d", scheme(role.settings, "ws"), *listener.getsockname()[:2])
    sweeping = asyncio.create_task(egress.sweep())
    stopping = asyncio.create_task(_until_stopped(role))
    starting = asyncio.create_task(_until_broker_answers(role, egress))
    try:
        waiting: set[asyncio.Future[None]] = {sweeping, stopping, starting, egress.relay.failed}
        while not role.stop.is_set():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        role.metrics.ready(False)
        for task in (sweeping, stopping, starting):
            task.cancel()
        await asyncio.gather(sweeping, stopping, starting, return_exceptions=True)
        server.close(code=1012, reason="the service restarts")
        await server.wait_closed()
        await egress.close()


async def _until_stopped(role: Role) -> None:
    while not role.stop.is_set():  # noqa: ASYNC110 - the flag is set from a signal handler
        await asyncio.sleep(0.1)


async def _until_broker_answers(role: Role, egress: Egress) -> None:
    told = False
    while True:
        try:
            await asyncio.to_thread(egress.relay.start)
            break
        except BrokerError as error:
            if not told:
                log.warning("waiting for Kafka: %s", error)
                told = True
            await asyncio.sleep(0.25)
    egress.ready = True
    role.metrics.ready(True)
