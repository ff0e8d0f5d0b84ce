"""Egress as a role: relays frames to viewers until asked to stop."""

import asyncio
import logging
import socket

import uvloop

from egress.server import Egress
from runtime.garbage import collect_rarely
from runtime.lifecycle import Role
from runtime.serving import listen, until_broker_answers, until_stopped
from runtime.tls import scheme

log = logging.getLogger(__name__)


def run(role: Role) -> None:
    """Serve until ``role.stop`` is set; viewers are told that the service restarts (close code 1012).

    Raises SettingsError if the port is taken, BrokerError or DeliveryFailed if Kafka fails for good.
    """
    with listen(role.settings.host, role.settings.port) as listener:
        collect_rarely()
        uvloop.run(serve(role, listener))


async def serve(role: Role, listener: socket.socket) -> None:
    """Serve on ``listener`` until ``role.stop`` is set."""
    egress = Egress(role.settings, role.clock, role.metrics)
    server = await egress.listen(listener)
    log.info("listening on %s://%s:%d", scheme(role.settings, "ws"), *listener.getsockname()[:2])
    sweeping = asyncio.create_task(egress.sweep())
    stopping = asyncio.create_task(until_stopped(role))
    starting = asyncio.create_task(_start(role, egress))
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


async def _start(role: Role, egress: Egress) -> None:
    """Read frames once the topics are there; HTTP answers 503 until then."""
    await until_broker_answers(egress.relay.start)
    egress.ready = True
    role.metrics.ready(True)
