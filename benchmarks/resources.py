"""What each process of a deployment takes: memory and processor."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.processes import CandidateError
from cli.deployment import BROKER, Deployment

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Use:
    """Of one part of a deployment, its children included."""

    resident_mib: float
    """Resident set; of a worker, which its guardian forked, what is its own besides."""
    cores: float
    """Processor time over time."""


class Resources:
    """Of every part that runs, and of a Kafka that this process has started besides, from now on."""

    def __init__(self, deployment: Deployment) -> None:
        """CandidateError if a part has ended."""
        self._processes = processes_of(deployment)
        if BROKER not in self._processes:
            for process in psutil.Process().children():
                if "java" in process.name():
                    self._processes[BROKER] = process
        self._since_s = time.monotonic()
        self._before = {name: cpu_s(process) for name, process in self._processes.items()}

    def so_far(self) -> Mapping[str, Use]:
        """By part. Raises psutil.NoSuchProcess if one has ended."""
        lasted_s = time.monotonic() - self._since_s
        return {
            name: Use(
                round(resident_bytes(process) / MIB, 1), round((cpu_s(process) - self._before[name]) / lasted_s, 3)
            )
            for name, process in self._processes.items()
        }


def processes_of(deployment: Deployment) -> dict[str, psutil.Process]:
    """The process of each part; CandidateError if one has ended."""
    found = {}
    for name, child in deployment.supervisor.children.items():
        if child.process is None or child.process.poll() is not None:
            raise CandidateError(f"{name} ended:\n{child.log_end()}")
        found[name] = psutil.Process(child.process.pid)
    return found


def cpu_s(process: psutil.Process) -> float:
    """User and system time so far, its children's included."""
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def resident_bytes(process: psutil.Process) -> int:
    """Memory of a part; what a worker shares with its guardian, who forked it, is counted once."""
    found = int(process.memory_info().rss)
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += int(child.memory_full_info().uss)
    return found
