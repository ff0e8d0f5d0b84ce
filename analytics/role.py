"""The analytics role: the sink in the main thread, the HTTP API in another, one ClickHouse between them."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from typing import Final

import uvicorn

from analytics import runfile
from analytics.api import Context, create_app
from analytics.database import Database, connect
from analytics.erasure.eraser import Eraser
from analytics.erasure.rows import Gate
from analytics.errors import DatabaseUnavailable
from analytics.owner_api import Recorder
from analytics.queries import Queries
from analytics.refusion import Fuse
from analytics.sink import FIRST_PAUSE_S, LONGEST_PAUSE_S, TOPICS, Sink
from runtime.erasures import Erasures
from runtime.errors import AffectstreamError, BrokerError, SettingsError
from runtime.garbage import collect_rarely
from runtime.keystore import key_store
from runtime.lifecycle import Role
from runtime.registry import codec
from runtime.serving import listen
from runtime.tls import scheme, uvicorn_tls
from runtime.tokens import Tokens
from runtime.topics import topic_ids
from schemas.codec import Codec
from schemas.topics import Topic

log = logging.getLogger(__name__)

OPERATOR_TTL_S: Final = 30 * 86_400
GRACE_S: Final = 3


def run(role: Role, recorder: Recorder | None = None, fuse: Fuse | None = None) -> None:
    """Sink, serve and erase until ``role.stop`` is set.

    Without ``recorder``, recordings cannot be had by HTTP; without ``fuse``, the analyst page compares no variants.

    Waits for ClickHouse and for the topics. Raises SettingsError for a bad DSN or a taken port, MigrationError, and
    whatever ends the sink.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(role.settings.host, role.settings.port))
        database = _connect(role)
        if database is None:
            return
        stack.callback(database.close)
        ids = _topic_ids(role)
        if ids is None:
            return
        shared = codec(role.settings)
        topics = {topic: (role.settings.topic(topic), topic_id) for topic, topic_id in ids.items()}
        store = key_store(role.settings.data_dir)
        stack.callback(store.close)
        gate = Gate(store)
        eraser = Eraser(
            role.settings, database, shared, clock=role.clock, erasures=Erasures(store), gate=gate, topics=topics,
            stop=role.stop,
        )  # fmt: skip
        context = Context(
            role.settings, Queries(database, topics), shared, role.clock, role.metrics, eraser, recorder, fuse
        )
        stack.enter_context(_serving(context, listener, role.stop))
        stack.enter_context(_findable(role, listener))
        stack.enter_context(_erasing(eraser, role.stop))
        if role.settings.trace_endpoint:
            stack.enter_context(_tracing(role, shared))
        collect_rarely()
        sink = Sink(role.settings, database, shared, clock=role.clock, metrics=role.metrics, stop=role.stop, gate=gate)
        sink.run()


def _connect(role: Role) -> Database | None:
    """The database; None if the role is asked to stop while a server is away.

    An embedded engine that cannot be opened is an error at once: it will not get better by waiting here.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return connect(role.settings)
        except DatabaseUnavailable as error:
            if not role.settings.clickhouse_dsn:
                raise
            log.warning("again in %.1f s: %s", pause_s, error)
        if role.stop.wait(pause_s):
            return None
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _topic_ids(role: Role) -> dict[Topic, str] | None:
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return dict(topic_ids(role.settings, TOPICS))
        except BrokerError as error:
            log.warning("waiting for Kafka: %s", error)
        if role.stop.wait(pause_s):
            return None
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


class _Server(uvicorn.Server):
    """uvicorn, but for signals: those are the role's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _serving(context: Context, listener: socket.socket, stop: threading.Event) -> Iterator[None]:
    """Serve the API from a thread; if that thread ends by itself, the role stops and the error is raised here."""
    server = _Server(
        uvicorn.Config(
            create_app(context),
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # analytics.access looks at them
            **uvicorn_tls(context.settings),
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as error:  # noqa: BLE001 - handed over to the role's thread
            failed.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=serve, name="api")
    thread.start()
    try:
        yield
        if not server.should_exit and not thread.is_alive():
            raise AffectstreamError("the HTTP server ended by itself") from (failed[0] if failed else None)
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def _erasing(eraser: Eraser, stop: threading.Event) -> Iterator[None]:
    """Erase what is asked for in a thread; if that ends by itself, the role stops and the error is raised here."""
    failed: list[BaseException] = []

    def erase() -> None:
        try:
            eraser.run()
        except BaseException as error:  # noqa: BLE001 - handed over to the role's thread
            failed.append(error)
            stop.set()

    thread = threading.Thread(target=erase, name="eraser")
    thread.start()
    try:
        yield
        if failed:
            raise AffectstreamError("the eraser ended by itself") from failed[0]
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _tracing(role: Role, shared: Codec) -> Iterator[None]:
    """Send traces from a thread. If that ends by itself, traces end and nothing else: frames come first."""
    try:
        from analytics.tracer import otlp_exporter, trace  # noqa: PLC0415 - an extra, and not before it is wanted
    except ModuleNotFoundError as error:
        msg = f"AFFECTSTREAM_TRACE_ENDPOINT needs the extra otel: pip install 'affectstream[otel]' ({error})"
        raise SettingsError(msg) from error
    settings = role.settings

    def run_tracer() -> None:
        try:
            trace(settings, shared, otlp_exporter(settings.trace_endpoint), role.metrics, role.stop)
        except Exception:
            log.exception("no more traces are sent until this role is started anew")

    thread = threading.Thread(target=run_tracer, name="tracer")
    thread.start()
    log.info("traces of %g %% of sessions go to %s", 100 * settings.trace_share, settings.trace_endpoint)
    try:
        yield
    finally:
        role.stop.set()
        thread.join()


@contextlib.contextmanager
def _findable(role: Role, listener: socket.socket) -> Iterator[None]:
    """Tell commands of the same user where the API is, while it is there."""
    host, port = listener.getsockname()[:2]
    here = f"{scheme(role.settings)}://{host}:{port}"
    # A certificate may be good for the public name alone.
    url = (role.settings.tls_certificate and role.settings.public_analytics_url) or here
    token = Tokens(role.settings.token_key).operator(issued_at_s=role.clock.now_us() // 1_000_000, ttl_s=OPERATOR_TTL_S)
    runfile.write(role.settings.data_dir, runfile.RunFile(url, token, os.getpid()))
    log.info("analytics API on %s", here)
    try:
        yield
    finally:
        runfile.remove(role.settings.data_dir)
