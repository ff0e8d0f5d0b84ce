"""Where verifications work: a real Kafka, a scratch folder, topics of their own; nothing is left behind."""

import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.broker import EmbeddedKafka, prepare
from cli.observed import WORKING, PhaseFile
from cli.ports import free_ports
from dataflows.compiled import RULES
from dataflows.ownership import read_claims
from dataflows.store import partitions_title
from dataflows.warm import compile_all
from runtime.errors import AffectstreamError
from runtime.kafka import OFFSET_BEGINNING, Message, Publisher, TopicPartition, consumer, wait_for_broker
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from runtime.topics import delete_topics, ensure_topics, offset_ranges
from schemas.bulk import derive_layout
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES, SIGNALS, Topic

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parent.parent
START_DEADLINE_S: Final = 120.0
FUSED_DEADLINE_S: Final = 600.0
STOP_DEADLINE_S: Final = 60.0
POLL_S: Final = 0.02
READ_AT_ONCE: Final = 10_000

Progress = Callable[[str], None]
Frames = Mapping[tuple[str, int], bytes]
"""Encoded frames by session and sequence."""


class VerificationError(AffectstreamError):
    """The verification itself could not be done; the message holds the end of the log that says why."""


@contextmanager
def laboratory(settings: Settings, environ: Mapping[str, str], progress: Progress) -> Iterator[Settings]:
    """Settings with a new folder and a Kafka: the one that KAFKA_BOOTSTRAP_SERVERS names, or one of our own."""
    if not RULES.is_complete():
        # Otherwise every process that is killed while it compiles would begin again.
        progress("fusion: compiling its rules (half a minute, once)")
        compile_all()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=settings.data_dir) as name:
        folder = Path(name)
        settings = settings.model_copy(update={"data_dir": folder / "data"})
        settings.data_dir.mkdir()
        if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            wait_for_broker(settings)
            yield settings
            return
        broker = EmbeddedKafka(prepare(settings.cache_dir, progress), folder / "kafka")
        progress("starting Apache Kafka")
        broker.start()
        try:
            yield settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
        finally:
            broker.stop()


@contextmanager
def own_topics(settings: Settings, name: str) -> Iterator[Settings]:
    """Settings with topics and a data folder that nobody else has; the topics are deleted at the end."""
    name = f"{name}-{secrets.token_hex(4)}"
    own = settings.model_copy(
        update={
            "topic_prefix": f"{settings.topic_prefix}verify-{name}.",
            "data_dir": settings.data_dir / name,
        }
    )
    own.data_dir.mkdir()
    ensure_topics(own)
    try:
        yield own
    finally:
        delete_topics(own)


class Child:
    """A process of the product that this one starts, stops and kills."""

    def __init__(self, settings: Settings, name: str, command: Sequence[str]) -> None:
        self.settings = settings
        self.name = name
        self.log_path = settings.data_dir / f"{name}.log"
        self._command = [sys.executable, "-m", *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AFFECTSTREAM_")},
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            **self.settings.to_env(),
            "PYTHONPATH": str(ROOT),
        }
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip

    def require_running(self) -> None:
        """Raise VerificationError if it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise VerificationError(f"{self.name} ended by itself with code {code}; its log ends:\n{self.log_end()}")

    def wait_until(self, condition: Callable[[], object], what: str, deadline_s: float = START_DEADLINE_S) -> None:
        """Return once the condition holds; VerificationError if the process ends, or after the deadline."""
        until = time.monotonic() + deadline_s
        while not condition():
            self.require_running()
            if time.monotonic() > until:
                msg = f"{self.name}: not within {deadline_s:g} s: {what}; its log ends:\n{self.log_end()}"
                raise VerificationError(msg)
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL, and wait for its end. Does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, *, go_on: bool = False) -> None:
        """SIGSTOP, or SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT if go_on else signal.SIGSTOP)

    def stop(self) -> None:
        """SIGTERM, and wait; VerificationError unless it ends in time with code 0."""
        self.require_running()
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise VerificationError(f"{self.name} did not stop; its log ends:\n{self.log_end()}") from error
        self._process = None
        if code != 0:
            raise VerificationError(f"{self.name} stopped with code {code}; its log ends:\n{self.log_end()}")

    def log_end(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class FusionProcess(Child):
    """One fusion process, over a group of partitions, whose phases are seen."""

    def __init__(self, settings: Settings, partitions: Sequence[int] | None = None) -> None:
        owned = range(settings.partitions) if partitions is None else partitions
        self.partitions = tuple(owned)
        name = f"fusion-{partitions_title(self.partitions)}"
        self.phases = PhaseFile(settings.data_dir / f"{name}.phase")
        command = ["cli.observed", str(self.phases.path)]
        super().__init__(settings, name, command + ([] if partitions is None else [",".join(map(str, partitions))]))

    def start(self) -> None:
        self.phases.reset()
        super().start()

    def wait_working(self) -> None:
        """Return once it has recovered and waits for records, or does more."""
        self.wait_until(lambda: self.phases.phase >= WORKING, "recovered")

    def caught_up(self) -> bool:
        """Whether an epoch has closed behind the last record that now stands in each partition."""
        ends = offset_ranges(self.settings, SIGNALS)
        claims = read_claims(self.settings, self.partitions)
        return all(claims[partition].offset >= ends[partition][1] for partition in self.partitions)

    def wait_caught_up(self, deadline_s: float = FUSED_DEADLINE_S) -> None:
        """Return once it is :meth:`caught_up`."""
        self.wait_until(self.caught_up, "every record fused", deadline_s)


class AnalyticsProcess(Child):
    """The analytics role: the sink, its ClickHouse and the API."""

    def __init__(self, settings: Settings) -> None:
        self.metrics_port, port = free_ports(2)
        own = settings.model_copy(update={"metrics_port": self.metrics_port, "port": port})
        super().__init__(own, "analytics", ["cli", "run", "analytics"])
        self.url = f"http://127.0.0.1:{port}"


class Writer(threading.Thread):
    """Writes records to ``signals`` at their times, ``speed`` times as fast (0: at once), until they or the time end.

    ``stalls``: how often a second, on average, nothing is written for up to half a second; then it catches up.
    """

    def __init__(
        self, settings: Settings, records: Iterable[tuple[int, str, bytes]], *, speed: float, stalls: float = 0.0,
        rng: "Callable[[], float]" = lambda: 1.0,
    ) -> None:  # fmt: skip
        super().__init__(name="writer", daemon=True)
        self.written = 0
        self.error: BaseException | None = None
        self._settings = settings
        self._records = records
        self._speed = speed
        self._stalls = stalls
        self._rng = rng
        self._enough = threading.Event()

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that joins
            self.error = error

    def _write(self) -> None:
        publisher = Publisher(self._settings, linger_ms=2.0)
        begun_s, first_us, stalled_until_s = time.monotonic(), -1, 0.0
        for at_us, session_id, value in self._records:
            if self._enough.is_set():
                break
            if first_us < 0:
                first_us = at_us
            if self._speed:
                due_s = max(stalled_until_s, begun_s + (at_us - first_us) / 1e6 / self._speed)
                if (wait_s := due_s - time.monotonic()) > 0.001:
                    publisher.poll()
                    self._enough.wait(wait_s)
                    if self._stalls and self._rng() < self._stalls * wait_s:
                        stalled_until_s = time.monotonic() + 0.5 * self._rng()
            publisher.send_waiting(SIGNALS, session_id, value)
            self.written += 1
        publisher.flush()

    def finish(self, *, now: bool = False) -> None:
        """Return when all is written and acknowledged; ``now``: write no more. Raises what the writing raised."""
        if now:
            self._enough.set()
        self.join()
        if self.error is not None:
            raise self.error


def messages(settings: Settings, topic: Topic) -> Iterator[Message]:
    """Everything that stands in a topic now: partitions mixed, each in its order."""
    ends = {partition: high for partition, (low, high) in offset_ranges(settings, topic).items() if high > low}
    reader = consumer(settings, "verify-read", fetch_wait_max_ms=10, queued_min_messages=50_000)
    try:
        reader.assign([TopicPartition(settings.topic(topic), partition, OFFSET_BEGINNING) for partition in ends])
        until = time.monotonic() + FUSED_DEADLINE_S
        while ends:
            for message in reader.consume(READ_AT_ONCE, 0.5):
                if message.error() is not None:
                    raise VerificationError(f"{topic} cannot be read: {message.error()}")
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                if partition in ends:
                    if offset + 1 >= ends[partition]:
                        del ends[partition]
                    yield message
            if time.monotonic() > until:
                raise VerificationError(f"{topic} could not be read within {FUSED_DEADLINE_S:g} s")
    finally:
        reader.close()


def copy_log(source: Settings, target: Settings) -> int:
    """Write the ``signals`` of ``source`` to those of ``target``: same partitions, same order. Returns how many."""
    publisher = Publisher(target, linger_ms=20.0, quiet=True)
    count = 0
    for message in messages(source, SIGNALS):
        record = (bytes(message.key() or b""), bytes(message.value() or b""))
        publisher.send_many(SIGNALS, int(message.partition() or 0), [record])
        count += 1
    publisher.flush()
    return count


class _Identifier:
    """Tells session and sequence of an encoded frame."""

    def __init__(self) -> None:
        self._codec = Codec()
        # All fields of fixed length come first, then the sequence, then the session, which is the record's key, too.
        self._fixed = derive_layout("AvatarFrame", self._codec.prefix(AvatarFrame)).dtype.itemsize

    def __call__(self, value: bytes, key: bytes) -> tuple[str, int]:
        """The frame's session and sequence; raises DecodeError if the value is no frame."""
        at, shift, number = self._fixed, 0, 0
        tail = len(value) - len(key) - 1
        if value.endswith(key) and len(key) < 64 and self._fixed < tail <= self._fixed + 5:
            while at < tail:
                number |= (value[at] & 0x7F) << shift
                shift += 7
                at += 1
            if value[tail] == 2 * len(key) and value[tail - 1] < 0x80:
                return key.decode(), (number >> 1) ^ -(number & 1)
        frame = self._codec.decode(AvatarFrame, value)
        return frame.session_id, frame.sequence


class FrameLog:
    """The frames of a topic without repetitions."""

    def __init__(self, settings: Settings) -> None:
        identify = _Identifier()
        self.records = 0
        self.conflicts: list[tuple[str, int]] = []
        """Frames that stand there again with other bytes."""
        frames: dict[tuple[str, int], bytes] = {}
        for message in messages(settings, AVATAR_FRAMES):
            value = bytes(message.value() or b"")
            key = identify(value, bytes(message.key() or b""))
            if frames.setdefault(key, value) != value:
                self.conflicts.append(key)
            self.records += 1
        self.frames: Frames = frames

    @property
    def repeated(self) -> int:
        """Records that say again what an earlier one said."""
        return self.records - len(self.frames)
