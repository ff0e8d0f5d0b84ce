"""The ingest edge as a role: one uvicorn server in this process, until asked to stop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import uvicorn
import uvloop

from ingest.app import create_app
from ingest.edge import Edge
from ingest.feed import AvatarFeed
from ingest.webrtc.peers import Peers
from ingest.websocket import DirectProtocol
from runtime.errors import AffectstreamError
from runtime.experiments import read_experiments
from runtime.garbage import collect_rarely
from runtime.lifecycle import Role
from runtime.serving import listen, until_broker_answers, until_stopped
from runtime.tls import scheme, uvicorn_tls
from runtime.topics import partition_count
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 1_048_576
"""Far above what is taken, so that an oversized picture gets a reason of ours."""

BACKLOG: Final = 1_024
GRACE_S: Final = 3


FeedOf = Callable[[Role], AvatarFeed]
"""Makes the source of avatar messages for WebRTC peers; called in the event loop, once a peer wants them."""


def run(role: Role, feed: FeedOf | None = None) -> None:
    """Serve until ``role.stop`` is set. Without ``feed``, peers are told to watch elsewhere.

    Live sessions are not ended by that: their clients are told that the service restarts (close code 1012), and go on
    with the same token at the next edge. Raises SettingsError if the port is taken, or a setting cannot be used.
    """
    with listen(role.settings.host, role.settings.port) as listener:
        collect_rarely()
        uvloop.run(serve(role, listener, feed))


class _Server(uvicorn.Server):
    """uvicorn, but for signals: those are the role's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(role: Role, listener: socket.socket, feed: FeedOf | None = None) -> None:
    """Serve on ``listener`` until ``role.stop`` is set; raises what made the edge fail."""
    experiments = read_experiments(role.settings.experiments_dir)
    edge = Edge(role.settings, role.clock, role.metrics, experiments=experiments)
    peers = Peers(edge, None if feed is None else partial(feed, role))
    config = uvicorn.Config(
        create_app(edge, peers),
        ws=DirectProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=10.0,
        ws_ping_timeout=20.0,
        lifespan="off",
        log_config=None,
        log_level="warning",  # below that it writes whole URLs, and tokens may stand in them
        access_log=False,
        server_header=False,
        forwarded_allow_ips=role.settings.trusted_proxies,
        **uvicorn_tls(role.settings),
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    tasks: list[asyncio.Task[None]] = [
        serving,
        asyncio.create_task(until_stopped(role)),
        asyncio.create_task(edge.housekeeping()),
        asyncio.create_task(edge.watch_headroom()),
        asyncio.create_task(edge.sharing.run()),
        asyncio.create_task(_start(role, edge)),
    ]
    log.info("listening on %s://%s:%d", scheme(role.settings), *listener.getsockname()[:2])
    running = [each.name for each in experiments if each.status == "running"]
    if running:
        log.info("experiments that run: %s", ", ".join(running))
    try:
        while not role.stop.is_set():
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task.done()]
            tasks = [task for task in tasks if not task.done()]
            for task in ended:
                task.result()
            if serving.done():
                raise AffectstreamError("the HTTP server ended by itself")
    finally:
        role.metrics.ready(False)
        await peers.close()
        server.should_exit = True
        for task in tasks:
            if task is not serving:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await edge.close()


async def _start(role: Role, edge: Edge) -> None:
    """Open the edge for sessions once the topics are there; HTTP answers 503 until then."""
    await until_broker_answers(partial(partition_count, role.settings, SIGNALS, timeout_s=2.0))
    edge.ready = True
    role.metrics.ready(True)
