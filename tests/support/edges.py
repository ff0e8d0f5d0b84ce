"""Ingest and egress in threads of this process, and a reader of what they wrote to Kafka."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket
from typing import Any, TypeVar

import httpx
import uvloop

from egress import role as egress_role
from egress.feed import ChannelFeed
from ingest import role as ingest_role
from runtime.clock import Clock, SystemClock
from runtime.kafka import TopicPartition, consumer
from runtime.keystore import KeyRing, key_store
from runtime.lifecycle import Role
from runtime.sealed_media import opened
from runtime.serving import listen
from runtime.settings import Settings
from runtime.tls import scheme
from schemas.codec import Codec
from schemas.records import AudioChunk, Record, VideoFrame
from schemas.topics import Topic
from tests.support.waiting import eventually

R = TypeVar("R", bound=Record)

Serve = Callable[[Role, socket], Coroutine[Any, Any, None]]


@dataclass
class Running:
    """A service that listens."""

    role: Role
    host: str
    port: int
    errors: list[BaseException]

    @property
    def url(self) -> str:
        return f"{scheme(self.role.settings)}://{self.host}:{self.port}"

    @property
    def ws(self) -> str:
        return f"{scheme(self.role.settings, 'ws')}://{self.host}:{self.port}"

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value; 0 if it has not been counted yet."""
        return self.role.metrics.registry.get_sample_value(f"affectstream_{name}", labels) or 0.0


@contextmanager
def serving(name: str, settings: Settings, serve: Serve, *, clock: Clock | None = None) -> Iterator[Running]:
    """Run a service in a thread; returns once it says that it is healthy, and fails if it ends with an error."""
    role = Role(name, settings, clock or SystemClock())
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    running = Running(role, host, port, [])

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(role, listener))
        except BaseException as error:  # noqa: BLE001 - the test's thread looks at it
            running.errors.append(error)
        finally:
            listener.close()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()

    trusts_anybody = ssl.create_default_context()
    trusts_anybody.check_hostname, trusts_anybody.verify_mode = False, ssl.CERT_NONE

    def healthy() -> bool:
        assert thread.is_alive(), running.errors
        try:
            return (
                httpx.get(f"{running.url}/healthz", timeout=2, trust_env=False, verify=trusts_anybody).status_code
                == 200
            )
        except httpx.TransportError:
            return False

    try:
        eventually(healthy, what=f"{name} healthy")
        yield running
    finally:
        role.stop.set()
        thread.join(20)
    assert not thread.is_alive(), f"{name} does not stop"
    assert not running.errors, running.errors


def ingest(settings: Settings, *, clock: Clock | None = None) -> Any:
    """The ingest edge; ``with ingest(settings) as running``. Its WebRTC peers get avatar frames, as in the product."""

    async def serve(role: Role, listener: socket) -> None:
        await ingest_role.serve(role, listener, ChannelFeed.of)

    return serving("ingest", settings, serve, clock=clock)


def egress(settings: Settings, *, clock: Clock | None = None) -> Any:
    """Egress; ``with egress(settings) as running``."""
    return serving("egress", settings, egress_role.serve, clock=clock)


class Log:
    """Everything in a topic, read from its beginning; media in the clear."""

    def __init__(self, settings: Settings, topic: Topic, record: type[R]) -> None:
        self._record = record
        self._codec = Codec()
        self._keys = KeyRing(key_store(settings.data_dir))
        self._consumer = consumer(settings, f"reader-{topic}-{time.monotonic_ns()}")
        self._consumer.assign([TopicPartition(settings.topic(topic), p, 0) for p in range(settings.partitions)])
        self.records: list[Any] = []

    def read(self) -> list[Any]:
        """The records so far."""
        message = self._consumer.poll(0.05)
        while message is not None:
            if message.error() is None:
                record = self._codec.decode(self._record, message.value())
                if isinstance(record, AudioChunk | VideoFrame):
                    assert record.sealed, "media must not stand in the log in the clear"
                    record = opened(record, self._keys)
                self.records.append(record)
            message = self._consumer.poll(0.01)
        return self.records

    def until(self, condition: Callable[[list[Any]], object], *, deadline_s: float = 10.0) -> list[Any]:
        """The records once they fulfil ``condition``."""
        eventually(
            lambda: condition(self.read()), deadline_s=deadline_s, what=lambda: f"log: {len(self.records)} records"
        )
        return self.records

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def log_of(settings: Settings, topic: Topic, record: type[R]) -> Iterator[Log]:
    """A :class:`Log`, closed at the end."""
    log = Log(settings, topic, record)
    try:
        yield log
    finally:
        log.close()
