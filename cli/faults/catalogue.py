"""Every fault that is tried: what is done, for how long, and how it is undone."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cli.faults.proxy import GOOD, Manner
from cli.faults.stage import Stage
from cli.roles import RoleName
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings

Act = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; ``possible`` says why not where it cannot be tried, and is empty otherwise."""

    key: str
    title: str
    begin: Act
    end: Act = lambda _stage: None
    lasts_s: float = 0.0
    possible: Callable[[Stage], str] = lambda _stage: ""
    longer_s: float = 0.0
    """How long it lasts in the whole suite, if longer."""


def _signal(role: RoleName, number: signal.Signals) -> Act:
    def act(stage: Stage) -> None:
        os.killpg(stage.pid(role), number)  # a worker is two processes (runtime/guardian.py)

    return act


def _killed(role: RoleName) -> Fault:
    return Fault(f"kill-{role}", f"{role}: SIGKILL", _signal(role, signal.SIGKILL))


def _frozen(role: RoleName, seconds: float = 4.0) -> Fault:
    return Fault(
        f"freeze-{role}",
        f"{role}: frozen (SIGSTOP)",
        _signal(role, signal.SIGSTOP),
        _signal(role, signal.SIGCONT),
        seconds,
    )


def _network(key: str, title: str, manner: Manner, seconds: float) -> Fault:
    return Fault(
        key, title, lambda stage: stage.network.behave(manner), lambda stage: stage.network.behave(GOOD), seconds
    )


def _kill_broker(stage: Stage) -> None:
    stage.kafka.kill()


def _start_broker(stage: Stage) -> None:
    stage.kafka.start()


def _no_redis(stage: Stage) -> str:
    return "" if stage.redis is not None else "there is no redis-server on this machine"


def _kill_redis(stage: Stage) -> None:
    assert stage.redis is not None
    stage.redis.kill()


def _start_redis(stage: Stage) -> None:
    assert stage.redis is not None
    stage.redis.start()


def _signal_redis(number: signal.Signals) -> Act:
    def act(stage: Stage) -> None:
        assert stage.redis is not None
        stage.redis.signal(number)

    return act


def _no_disk(stage: Stage) -> str:
    return "" if stage.disk is not None else "a file system of its own needs the right to mount one"


def _fill_disk(stage: Stage) -> None:
    assert stage.disk is not None
    with suppress(OSError), (stage.disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(65_536))


def _empty_disk(stage: Stage) -> None:
    assert stage.disk is not None
    (stage.disk / "filler").unlink()


STORM_ROUNDS: Final = 4
STORM_S: Final = 2.0


def _started(role: RoleName, settings: Settings) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "run", role.value], env={**os.environ, **settings.to_env()},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
    )  # fmt: skip


def _storm(stage: Stage) -> None:
    """A second replica of each worker comes and goes, so that their groups share their partitions anew each time."""
    for number in range(STORM_ROUNDS):
        others = []
        for role in (RoleName.FACE_WORKER, RoleName.SPEECH_WORKER):
            settings = stage.settings.model_copy(update={"instance": f"storm{number}", "metrics_port": 0, "port": 0})
            others.append(_started(role, settings))
        stage.last(STORM_S)
        for other in others:
            # One leaves as it should, one does not.
            other.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
        for other in others:
            other.wait(20)


FAULTS: Final = (
    Fault("kafka-killed", "Kafka: SIGKILL, started again after 1 s", _kill_broker, _start_broker, 1.0),
    Fault(
        "kafka-frozen",
        "Kafka: frozen (SIGSTOP)",
        lambda stage: os.kill(stage.kafka.pid, signal.SIGSTOP),
        lambda stage: os.kill(stage.kafka.pid, signal.SIGCONT),
        4.0,
    ),
    _network("network-cut", "network to Kafka: every connection cut", Manner(refusing=True), 3.0),
    _network("network-silent", "network to Kafka: nothing passes", Manner(silent=True), 4.0),
    _network(
        "network-slow", "network to Kafka: 50 ms later each way, 1 MB/s", Manner(latency_s=0.05, bytes_per_s=1e6), 5.0
    ),
    *(_killed(role) for role in RoleName),
    *(_frozen(role) for role in RoleName if role is not RoleName.ANALYTICS),
    Fault(
        "clickhouse-gone",
        "ClickHouse gone (with its role, which embeds it)",
        _signal(RoleName.ANALYTICS, signal.SIGSTOP),
        _signal(RoleName.ANALYTICS, signal.SIGCONT),
        4.0,
        longer_s=60.0,
    ),
    Fault("redis-killed", "Redis: SIGKILL, started again, empty", _kill_redis, _start_redis, 3.0, _no_redis),
    Fault(
        "redis-frozen",
        "Redis: frozen (SIGSTOP)",
        _signal_redis(signal.SIGSTOP),
        _signal_redis(signal.SIGCONT),
        3.0,
        _no_redis,
    ),
    Fault("disk-full", "disk of fusion's recovery store full", _fill_disk, _empty_disk, 4.0, _no_disk),
    Fault("rebalance-storm", "second workers come and go, four times", _storm),
)
SHORT: Final = ("network-cut", "redis-killed")
"""A look at each kind, for ``make test``; what is killed has a test of its own."""
