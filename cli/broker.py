"""A real single-node Apache Kafka (KRaft) as a child process, for the demo and the tests.

Three things are prepared once and kept in ``cache_dir/kafka``, under a key of what they are made from: the jars
(resolved by Maven from ``infra/kafka/pom.xml``), a formatted storage directory that each new broker starts from a copy
of, and an AppCDS archive of the classes that a broker loads, which cuts its start to one or two seconds. Preparing is
guarded by a file lock: of several processes one works and the others wait.
"""

import fcntl
import hashlib
import logging
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from cli.ports import free_ports
from runtime.errors import BrokerError, PrerequisiteError
from runtime.kafka import Publisher, consumer, wait_for_broker
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from runtime.topics import ensure_topics
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

CONFIGURATION: Final = Path(__file__).resolve().parent.parent / "infra" / "kafka"
MINIMUM_JAVA: Final = 17
FLAGS: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)
INSTEAD: Final = "or set KAFKA_BOOTSTRAP_SERVERS to a Kafka that already runs"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a broker is started from: see :func:`prepare`."""

    java: str
    jars: Path
    formatted: Path
    archive: Path

    def command(self, main_class: str, *arguments: str, flags: Sequence[str] = ()) -> list[str]:
        """The command line of one of Kafka's main classes."""
        # An AppCDS archive holds for one exact class path: spelt out and sorted, not a wildcard in directory order.
        class_path = ":".join(str(jar) for jar in sorted(self.jars.glob("*.jar")))
        return [self.java, *FLAGS, *flags, "-cp", class_path, main_class, *arguments]


def prepare(cache_dir: Path, progress: Progress = log.info) -> Distribution:
    """The jars, the formatted storage and the AppCDS archive, made where they are missing; safe to call in parallel.

    ``progress`` is told of each step that takes seconds. Raises PrerequisiteError if Java or Maven is missing, too old
    or fails. Blocks for about 20 s the first time (Maven downloads 54 MB), for 0.1 s afterwards.
    """
    java, version = find_java()
    pom, properties = ((CONFIGURATION / name).read_bytes() for name in ("pom.xml", "server.properties"))
    home = cache_dir / "kafka" / _key(pom)
    made = home / _key(properties, version.encode())
    distribution = Distribution(java, home / "jars", made / "formatted", made / "classes.jsa")
    made.mkdir(parents=True, exist_ok=True)
    with _locked(home / "lock"):
        if not distribution.jars.exists():
            progress("Apache Kafka: Maven fetches the jars (54 MB, once)")
            _made(distribution.jars, _copy_jars)
        if not distribution.formatted.exists():
            progress("Apache Kafka: formatting its storage (once)")
            _made(distribution.formatted, lambda path: _format_storage(distribution, path))
        if not distribution.archive.exists():
            progress("Apache Kafka: archiving its classes for quick starts (once)")
            _made(distribution.archive, lambda path: _archive_classes(distribution, path))
    return distribution


def find_java() -> tuple[str, str]:
    """The ``java`` on the PATH and its version's text; PrerequisiteError if there is none, or it is too old."""
    java = shutil.which("java")
    if java is None:
        raise PrerequisiteError(f"Apache Kafka needs Java {MINIMUM_JAVA} or newer: install one (Debian: apt install "
                                f"openjdk-17-jre-headless), {INSTEAD}")  # fmt: skip
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = java_major(answer.stderr)
    if version is None or version < MINIMUM_JAVA:
        found = f"{java} is version {version}" if version is not None else f"{java} does not say its version"
        raise PrerequisiteError(f"Apache Kafka needs Java {MINIMUM_JAVA} or newer, but {found}: install one (Debian: "
                                f"apt install openjdk-17-jre-headless), {INSTEAD}")  # fmt: skip
    return java, answer.stderr


def java_major(text: str) -> int | None:
    """The major version in the answer of ``java -version``: 17 for ``17.0.15``, 8 for ``1.8.0_392``."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


class EmbeddedKafka:
    """One broker over one data directory. Start, stop, kill and restart keep its data and its ports.

    The broker ends with the thread that started it, however that ends: start it from one that lives long. Not
    thread-safe.
    """

    def __init__(
        self,
        distribution: Distribution,
        data_dir: Path,
        *,
        advertised_port: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        java: Sequence[str] = (),
    ) -> None:
        """``advertised_port``: where clients reach it, if they do so through something that passes them on.

        ``properties`` are the broker's, in the place of those in ``infra/kafka/server.properties``; ``java``: flags of
        its Java, in the place of those of :data:`FLAGS` that say the same.
        """
        self._distribution = distribution
        self._data_dir = data_dir
        self._ports = free_ports(2)
        self._advertised_port = advertised_port or self._ports[0]
        self._overrides = [part for name, value in properties.items() for part in ("--override", f"{name}={value}")]
        self._java = tuple(java)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self._advertised_port}"

    @property
    def port(self) -> int:
        """Where it listens itself."""
        return self._ports[0]

    @property
    def log_path(self) -> Path:
        """What the broker says: warnings and errors only."""
        return self._data_dir / "broker.log"

    @property
    def pid(self) -> int:
        """The broker's process; BrokerError if it does not run."""
        if self._process is None:
            raise BrokerError("the embedded Kafka was not started")
        return self._process.pid

    def listens(self) -> bool:
        """Whether something accepts connections at the broker's port now."""
        try:
            socket.create_connection(("127.0.0.1", self._ports[0]), timeout=0.5).close()
        except OSError:
            return False
        return True

    def command(self, *, flags: Sequence[str] | None = None) -> list[str]:
        """Prepare the data directory and give the command line that runs the broker in it."""
        logs = self._data_dir / "log"
        if not logs.exists():
            self._data_dir.mkdir(parents=True, exist_ok=True)
            _made(logs, lambda path: shutil.copytree(self._distribution.formatted, path))
        properties = self._data_dir / "server.properties"
        properties.write_text(_properties(self._ports, logs, self._advertised_port), encoding="utf-8")
        if flags is None:
            flags = (f"-XX:SharedArchiveFile={self._distribution.archive}", "-Xshare:auto", "-Xlog:cds=off")
        return self._distribution.command("kafka.Kafka", str(properties), *self._overrides, flags=(*flags, *self._java))

    def start(self, *, deadline_s: float = 60.0, flags: Sequence[str] | None = None) -> None:
        """Start the broker and return once it answers; BrokerError with the end of its log if it does not."""
        command = self.command(flags=flags)
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        process = self._process
        try:
            wait_for_broker(
                Settings.from_env({}, kafka_bootstrap_servers=self.bootstrap_servers),
                deadline_s=deadline_s,
                stopped=lambda: process.poll() is not None,
            )
        except BrokerError as error:
            self.kill()
            raise BrokerError(f"{error}\n{self._log_end()}") from error
        if process.poll() is not None:
            raise BrokerError(f"the embedded Kafka ended with code {process.returncode}\n{self._log_end()}")

    def stop(self, *, deadline_s: float = 20.0) -> None:
        """Ask the broker to end, and end it after the deadline. Does nothing if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            log.warning("the embedded Kafka did not stop within %g s", deadline_s)
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would. Does nothing if the broker does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start again: same ports, same data."""
        self.stop()
        self.start()

    def _log_end(self, lines: int = 15) -> str:
        text = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"the end of {self.log_path}:", *text[-lines:]])


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _properties(ports: Sequence[int], log_dirs: Path, advertised_port: int | None = None) -> str:
    port, controller_port = ports
    template = Template((CONFIGURATION / "server.properties").read_text(encoding="utf-8"))
    advertised = advertised_port or port
    return template.substitute(
        port=port, advertised_port=advertised, controller_port=controller_port, log_dirs=log_dirs
    )


def _copy_jars(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PrerequisiteError(f"Apache Kafka's jars come by Maven: install it (Debian: apt install maven), {INSTEAD}")
    command = [maven, "-q", "-B", "-f", str(CONFIGURATION / "pom.xml"), "dependency:copy-dependencies",
               f"-DoutputDirectory={target}"]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0 or not any(target.glob("kafka_*.jar")):
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[:10])
        raise PrerequisiteError(f"Maven could not fetch Apache Kafka's jars; mend that, {INSTEAD}:\n{said}")


def _format_storage(distribution: Distribution, target: Path) -> None:
    properties = target.with_name("format.properties")
    properties.write_text(_properties(free_ports(2), target), encoding="utf-8")
    arguments = ("format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", str(properties))
    command = distribution.command("kafka.tools.StorageTool", *arguments)
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BrokerError(f"Kafka could not format its storage: {answer.stdout}{answer.stderr}")


def _archive_classes(distribution: Distribution, target: Path) -> None:
    """Run a broker through a short life of producing and consuming, and archive the classes that it loaded."""
    data_dir = target.with_name("archive-run")
    shutil.rmtree(data_dir, ignore_errors=True)
    kafka = EmbeddedKafka(distribution, data_dir)
    kafka.start(flags=(f"-XX:ArchiveClassesAtExit={target}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"))
    try:
        settings = Settings.from_env(
            {}, kafka_bootstrap_servers=kafka.bootstrap_servers, partitions=1, topic_prefix="warm."
        )
        ensure_topics(settings)
        publisher = Publisher(settings)
        publisher.send(SIGNALS, "warm", b"warm")
        publisher.flush(30.0)
        reader = consumer(settings, "warm")
        reader.subscribe([settings.topic(SIGNALS)])
        message = reader.poll(30.0)
        if message is not None and message.error() is None:
            reader.commit(message=message, asynchronous=False)
        reader.close()
    finally:
        kafka.stop(deadline_s=60.0)
    if not target.exists():
        raise BrokerError(f"Java wrote no AppCDS archive; see {kafka.log_path}")
    shutil.rmtree(data_dir)


def _made(target: Path, make: Callable[[Path], object]) -> None:
    """Make ``target`` all or nothing: under another name first, then renamed."""
    partial = target.with_name(target.name + ".partial")
    if partial.is_dir():
        shutil.rmtree(partial)
    partial.unlink(missing_ok=True)
    make(partial)
    partial.rename(target)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` across processes; it falls with the process."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
