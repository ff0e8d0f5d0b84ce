"""The proxy that misbehaves, against a server that says everything again."""

import asyncio
import socket
import threading
import time

import pytest

from cli.faults.proxy import GOOD, Manner, Proxy
from tests.support.waiting import eventually


@pytest.fixture
def echo():
    """The port of a server that says everything again."""
    ready, ports = threading.Event(), []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(again, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            stop.append((asyncio.get_running_loop(), asyncio.Event()))
            ready.set()
            await stop[0][1].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    yield ports[0]
    stop[0][0].call_soon_threadsafe(stop[0][1].set)
    thread.join()


@pytest.fixture
def proxy(echo):
    with Proxy(0, echo) as proxy:
        yield proxy


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def said_again(sock: socket.socket, data: bytes) -> float:
    """Seconds until all of it has come back."""
    began_s = time.monotonic()
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        more = sock.recv(65_536)
        assert more, "the connection was cut"
        got += more
    assert got == data
    return time.monotonic() - began_s


def test_it_passes_everything_on(proxy):
    with connected(proxy) as one, connected(proxy) as two:
        said_again(one, b"hello")
        said_again(two, bytes(range(256)) * 4_000)
        said_again(one, b"again")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(10) == b""


def test_latency_is_added_each_way_and_taken_away(proxy):
    with connected(proxy) as sock:
        proxy.behave(Manner(latency_s=0.15))
        said_again(sock, b"x")  # the change itself may come in between
        assert said_again(sock, b"hello") >= 0.3
        proxy.behave(GOOD)
        eventually(lambda: said_again(sock, b"quick") < 0.15, what="quick again")


def test_bandwidth_is_narrow(proxy):
    with connected(proxy) as sock:
        proxy.behave(Manner(bytes_per_s=200_000.0))
        said_again(sock, b"x")
        assert said_again(sock, bytes(60_000)) >= 0.3


def test_silence_loses_nothing(proxy):
    with connected(proxy) as sock:
        said_again(sock, b"hello")
        proxy.behave(Manner(silent=True))
        # What was under way may still come: ask until one does not.
        sock.settimeout(0.3)
        sent = got = 0
        try:
            while True:
                sock.sendall(b"?")
                sent += 1
                got += len(sock.recv(10))
        except TimeoutError:
            assert sent == got + 1
        proxy.behave(GOOD)
        sock.settimeout(10)
        while got < sent:
            got += len(sock.recv(10))
        assert got == sent


def test_a_cut_ends_connections_and_new_ones_until_it_is_mended(proxy):
    with connected(proxy) as sock:
        said_again(sock, b"hello")
        proxy.behave(Manner(refusing=True))

        def is_cut() -> bool:
            try:
                sock.sendall(b"?")
                return sock.recv(10) == b""
            except OSError:
                return True

        eventually(is_cut, what="the connection is cut")
        with connected(proxy) as another:
            assert_cut(another)
        proxy.behave(GOOD)

        def works() -> bool:
            try:
                with connected(proxy) as again:
                    said_again(again, b"hello")
            except (OSError, AssertionError):
                return False
            return True

        eventually(works, what="new connections")


def assert_cut(sock: socket.socket) -> None:
    try:
        assert sock.recv(10) == b""
    except ConnectionError:
        return


def test_a_server_that_is_not_there_is_a_cut(echo):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    with Proxy(0, nobody) as proxy, connected(proxy) as sock:
        assert_cut(sock)
