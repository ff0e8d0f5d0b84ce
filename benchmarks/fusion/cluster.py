"""Two ways to fuse with two processes, independent ones and Bytewax's own cluster, and one process beside them.

    python -m benchmarks.fusion.cluster [SESSIONS [SECONDS [REPEATS]]]

Each way fuses the same log of real Kafka, from its appearance to the last frame, with its recovery stores. The table
says how much processor time that took in all processes together, and how long.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bytewax._bytewax import cli_main
from bytewax.recovery import RecoveryConfig, init_db_dir

from benchmarks.bench import machine, scratch
from benchmarks.fusion.contestants import ROOT
from benchmarks.fusion.kafka_log import HiddenLog, Topics
from benchmarks.fusion.measure import Spread, topics_of_a_run
from benchmarks.fusion.signals import RecordedLog
from benchmarks.processes import Candidate, CandidateError, Program, environment, free_port
from cli.bench import kafka
from cli.terminal import progress
from dataflows.context import Context
from dataflows.fusion import build
from dataflows.role import EPOCH
from dataflows.warm import compile_all
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.topics import AVATAR_FRAMES

ONE: Final = "one process"
INDEPENDENT: Final = "two independent processes"
CLUSTER: Final = "Bytewax cluster of two"
DEADLINE_S: Final = 300.0
POLL_S: Final = 0.02


def member(number: int, addresses: Sequence[str], store: str) -> None:
    """Be one process of a Bytewax cluster that runs the product's dataflow over every partition."""
    compile_all()
    settings = Settings.from_env(os.environ)
    context = Context.build(settings, Metrics("fusion"), SystemClock(), threading.Event())
    cli_main(  # type: ignore[no-untyped-call]  # compiled from Rust
        build(context),
        process_id=number,
        addresses=list(addresses),
        epoch_interval=EPOCH,
        recovery_config=RecoveryConfig(store, timedelta(0)),
    )


def programs(way: str, settings: Settings) -> list[Program]:
    """The processes of one way."""
    environ = environment(**settings.to_env())
    half = settings.partitions // 2
    if way == CLUSTER:
        store = settings.data_dir / "cluster"
        store.mkdir()
        init_db_dir(store, 2)
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        command = [sys.executable, "-m", "benchmarks.fusion.cluster", "member"]
        return [Program([*command, str(n), ",".join(addresses), str(store)], environ, ROOT) for n in range(2)]
    groups = [f"0-{settings.partitions - 1}"] if way == ONE else [f"0-{half - 1}", f"{half}-{settings.partitions - 1}"]
    command = [sys.executable, "-m", "cli", "run", "fusion", "--metrics-port", "0", "--partitions"]
    return [Program([*command, group], environ, ROOT) for group in groups]


def run_once(way: str, settings: Settings, log: RecordedLog, directory: Path) -> tuple[float, float]:
    """Processor and wall-clock seconds from the log's appearance to its last frame; CandidateError if frames lack."""
    own = topics_of_a_run(settings, directory)
    with Topics(own) as topics, ExitStack() as stack:
        hidden = HiddenLog(own, log.slices())
        running = [
            stack.enter_context(Candidate(program, own.data_dir / f"output-{n}.txt"))
            for n, program in enumerate(programs(way, own))
        ]
        began = time.monotonic()
        for each in running:
            each.wait_for(lambda: time.monotonic() - began > 5.0)
        before_s, began = sum(each.cpu_s() for each in running), time.monotonic()
        hidden.reveal()
        while (count := topics.count(AVATAR_FRAMES)) < log.frames:
            for each in running:
                each.require_running()
            if time.monotonic() - began > DEADLINE_S:
                raise CandidateError(f"{way}: {count} of {log.frames} frames after {DEADLINE_S:g} s")
            time.sleep(POLL_S)
        wall_s = time.monotonic() - began
        return sum(each.cpu_s() for each in running) - before_s, wall_s


def main(sessions: int = 600, seconds: int = 40, repeats: int = 3) -> None:
    """Measure the three ways in turn, and print a table."""
    log = RecordedLog(sessions, seconds)
    compile_all()
    with kafka(Settings.from_env(os.environ)) as settings, scratch(settings) as directory:
        found: dict[str, list[tuple[float, float]]] = {ONE: [], INDEPENDENT: [], CLUSTER: []}
        for number in range(repeats):
            for way, figures in found.items():
                figures.append(run_once(way, settings, log, directory))
                progress(f"{number + 1} of {repeats}, {way}: {figures[-1][0]:.2f} s CPU, {figures[-1][1]:.2f} s")
    base_cpu, base_wall = (Spread.of([each[i] for each in found[ONE]]).median for i in range(2))
    print(f"{log.signals:,} signals, {log.frames:,} frames; {machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print("| way | CPU s | of one | wall s | of one |\n| --- | --- | --- | --- | --- |")
    for way, figures in found.items():
        cpu, wall = (Spread.of([each[i] for each in figures]) for i in range(2))
        print(
            f"| {way} | {cpu.median:.2f} ({cpu.least:.2f} to {cpu.most:.2f}) | {cpu.median / base_cpu:.2f} "
            f"| {wall.median:.2f} ({wall.least:.2f} to {wall.most:.2f}) | {wall.median / base_wall:.2f} |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["member"]:
        member(int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4])
    else:
        main(*map(int, sys.argv[1:]))
