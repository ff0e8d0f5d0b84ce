"""The real HAProxy before real egress replicas: each reads its share of the partitions, and every viewer its frames."""

import re
import secrets
import uuid
from contextlib import ExitStack

import httpx
import orjson
from websockets.asyncio.client import connect

from cli.links import watch_link
from runtime.clock import SystemClock
from runtime.topics import ensure_topics, murmur2_partition
from tests.support.frames import FramePublisher
from tests.support.haproxy import balancing
from tests.support.processes import free_port, running
from tests.support.waiting import eventually

PARTITIONS = 8
SHOW = 'backend egress\n    http-request return status 200 hdr X-Partition "%[var(txn.partition)]"\n'
SERVERS = """backend egress
    balance hash var(txn.partition)
    hash-type consistent sdbm avalanche
    hash-balance-factor 125
    default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


def test_its_partition_of_a_session_is_kafka_s(tmp_path):
    names = ["s", "ab", "abc", "abcd", *(secrets.token_urlsafe(size) for size in range(1, 60)), str(uuid.uuid4())]
    with balancing(SHOW, tmp_path, 96) as port, httpx.Client(trust_env=False) as client:
        for name in names:
            answer = client.get(f"http://127.0.0.1:{port}/v1/sessions/{name}/avatar")
            assert int(answer.headers["X-Partition"]) == murmur2_partition(name.encode(), 96), name
        # The wall is of no partition.
        assert "X-Partition" not in client.get(f"http://127.0.0.1:{port}/v1/wall").headers


def read_partitions(replica):
    """The partitions whose lag the replica tells: those that it reads."""
    return {int(p) for p in re.findall(r'lag_records\{partition="(\d+)",topic="avatar.frames"\}', replica.metrics())}


async def test_each_replica_reads_its_own_partitions_and_every_viewer_gets_its_frames(settings, tmp_path):
    wide = settings.model_copy(update={"partitions": PARTITIONS, "topic_prefix": f"h{uuid.uuid4().hex[:8]}."})
    ensure_topics(wide)
    sessions = {}
    while len(sessions) < PARTITIONS:
        name = secrets.token_urlsafe(9)
        sessions.setdefault(murmur2_partition(name.encode(), PARTITIONS), name)
    with ExitStack() as stack:
        replicas = []
        for number in (1, 2):
            own = wide.model_copy(
                update={"port": free_port(), "instance": f"e{number}", "data_dir": tmp_path / f"e{number}"}
            )
            replicas.append(stack.enter_context(running("egress", own)))
        servers = "".join(
            f"    server egress-{i} 127.0.0.1:{replica.settings.port}\n" for i, replica in enumerate(replicas, 1)
        )
        port = stack.enter_context(balancing(SERVERS + servers, tmp_path, PARTITIONS))
        viewers = {}
        async with AsyncViewers() as opened:
            for name in sessions.values():
                viewers[name] = await opened.watch(wide, port, name)
            eventually(lambda: len(read_partitions(replicas[0]) | read_partitions(replicas[1])) == PARTITIONS)
            first, second = (read_partitions(replica) for replica in replicas)
            assert first & second == set()
            assert first, "one replica has everything"
            assert second, "one replica has everything"
            publisher = FramePublisher(wide, SystemClock())
            for name in sessions.values():
                publisher.publish(name, 0)
            for name, socket in viewers.items():
                assert await opened.frame(socket) == name


class AsyncViewers:
    """Viewers of sessions by way of one address; all leave together."""

    async def __aenter__(self):
        self._sockets = []
        return self

    async def watch(self, settings, port, session_id):
        token = watch_link(settings, SystemClock(), "", session_id, ttl_s=60).partition("token=")[2]
        socket = await connect(
            f"ws://127.0.0.1:{port}/v1/sessions/{session_id}/avatar",
            additional_headers={"Authorization": f"Bearer {token}"}, compression=None, proxy=None,
        )  # fmt: skip
        self._sockets.append(socket)
        assert orjson.loads(await socket.recv())["type"] == "welcome"
        return socket

    async def frame(self, socket):
        while True:
            message = orjson.loads(await socket.recv())
            if message["type"] == "avatar_frame":
                return message["session_id"]

    async def __aexit__(self, *_):
        for socket in self._sockets:
            await socket.close()
