"""Who is measured: how each program is made ready and started."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bench import Progress
from benchmarks.environments import make_environment, run
from benchmarks.fusion.kafka_streams.tables import write_tables
from benchmarks.fusion.signals import RecordedLog
from benchmarks.processes import Program, environment, is_ready
from runtime.errors import PrerequisiteError
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import AvatarFrame
from schemas.topics import AVATAR_FRAMES, SIGNALS

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
READY: Final = "READY"
"""What a peer prints when it is about to wait for records."""


@dataclass(frozen=True)
class Contestant:
    """A program that turns ``signals`` into ``avatar.frames``."""

    key: str
    title: str
    start: Callable[[Settings, RecordedLog], Program]
    """Given settings with topics and a data directory of the run's own, and the log that will come."""
    prepare: Callable[[Path, Progress], None] = lambda _cache_dir, _progress: None
    ready: Callable[[Settings, str], bool] = lambda _settings, said: READY in said
    """Whether it waits for records, by its settings and by what it has said so far."""
    computes: bool = True
    """False: its frames are only counted."""
    warms_up: bool = False
    """True: the cost that counts is that of the last two thirds, when a just-in-time compiler has done its work."""


def contestants(frame: bytes, bytewax_wait_s: float) -> Mapping[str, Contestant]:
    """Everyone by key. ``frame`` is the record that the floor writes."""
    everyone = (
        Contestant(
            "ours", "affectstream run fusion", lambda settings, _: fusion_role(settings), _prepare_ours, role_is_ready
        ),
        Contestant(
            "floor", "librdkafka alone (the floor)", lambda settings, log: _floor(settings, log, frame), computes=False
        ),
        Contestant(
            "bytewax_windows",
            f"Bytewax windows, waiting {bytewax_wait_s:g} s",
            lambda settings, log: _bytewax(settings, log, bytewax_wait_s),
        ),
        Contestant("quixstreams", "Quix Streams", _quix, prepare=_prepare_quix),
        Contestant("pyflink", "PyFlink windows", _pyflink, prepare=_prepare_pyflink, warms_up=True),
        Contestant("kafka_streams", "Kafka Streams DSL", _kafka_streams, prepare=_prepare_kafka_streams, warms_up=True),
    )
    return {each.key: each for each in everyone}


def _python(module: str, *arguments: str, interpreter: str = sys.executable) -> list[str]:
    return [interpreter, "-m", module, *arguments]


def fusion_role(settings: Settings) -> Program:
    """The product's own process, as production runs it."""
    return Program(_python("cli", "run", "fusion"), environment(**settings.to_env()), ROOT)


def _prepare_ours(_cache_dir: Path, progress: Progress) -> None:
    """Compiled code, as `affectstream setup` makes it."""
    progress("fusion: compiling its rules, if they have changed")
    run(_python("dataflows.warm"))


def role_is_ready(settings: Settings, _said: str = "") -> bool:
    """Whether the role says so on its metrics page."""
    return is_ready("fusion", settings.metrics_port)


def _floor(settings: Settings, log: RecordedLog, frame: bytes) -> Program:
    numbers = (str(settings.partitions), frame.hex(), str(log.signals), str(log.frames))
    command = _python("benchmarks.fusion.floor", *_topics(settings), *numbers)
    return Program(command, environment(), ROOT)


def _bytewax(settings: Settings, log: RecordedLog, wait_s: float) -> Program:
    del log
    return Program(_python("benchmarks.fusion.bytewax_windows", *_topics(settings), str(wait_s)), environment(), ROOT)


def _topics(settings: Settings) -> tuple[str, str, str]:
    return settings.kafka_bootstrap_servers, settings.topic(SIGNALS), settings.topic(AVATAR_FRAMES)


def _quix(settings: Settings, log: RecordedLog) -> Program:
    del log
    interpreter = str(_quix_home(settings.cache_dir) / "bin" / "python")
    state = str(settings.data_dir / "state")
    arguments = (*_topics(settings), str(settings.partitions), state)
    command = _python("benchmarks.fusion.quixstreams", *arguments, interpreter=interpreter)
    return Program(command, environment(PYTHONPATH=str(ROOT)), settings.data_dir)


def _quix_home(cache_dir: Path) -> Path:
    return cache_dir / "bench" / "quixstreams"


def _prepare_quix(cache_dir: Path, progress: Progress) -> None:
    make_environment("Quix Streams", HERE / "quixstreams" / "requirements.txt", _quix_home(cache_dir), progress)


def _pyflink_home(cache_dir: Path) -> Path:
    return cache_dir / "bench" / "pyflink"


def _pyflink(settings: Settings, log: RecordedLog) -> Program:
    del log
    home = _pyflink_home(settings.cache_dir)
    jar = str(next((home / "jars").glob("*.jar")))
    interpreter = str(home / "bin" / "python")
    command = _python("benchmarks.fusion.pyflink", *_topics(settings), jar, interpreter=interpreter)
    return Program(command, environment(PYTHONPATH=str(ROOT)), settings.data_dir)


def _prepare_pyflink(cache_dir: Path, progress: Progress) -> None:
    home = _pyflink_home(cache_dir)
    make_environment("PyFlink", HERE / "pyflink" / "requirements.txt", home, progress)
    _fetch_jars("PyFlink", HERE / "pyflink" / "pom.xml", home, progress)


def _fetch_jars(title: str, wanted: Path, home: Path, progress: Progress) -> None:
    """The jars that a pom names, to ``home/jars``, again when it changes."""
    maven = shutil.which("mvn")
    if maven is None:
        raise PrerequisiteError(f"{title} needs Maven (mvn)")
    made = home / "pom.xml"
    if made.exists() and made.read_bytes() == wanted.read_bytes():
        return
    progress(f"{title}: Maven fetches the jars (once)")
    home.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "jars", ignore_errors=True)
    run([maven, "-q", "-B", "-f", str(wanted), "dependency:copy-dependencies", f"-DoutputDirectory={home / 'jars'}"])
    shutil.copy(wanted, made)


def _kafka_streams_home(cache_dir: Path) -> Path:
    return cache_dir / "bench" / "kafka_streams"


def _kafka_streams(settings: Settings, log: RecordedLog) -> Program:
    del log
    home = _kafka_streams_home(settings.cache_dir)
    java = shutil.which("java") or "java"
    flags = ("-Xms1g", "-Xmx2g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    class_path = f"{home / 'classes'}:{home / 'jars'}/*"
    state = str(settings.data_dir / "state")
    tables, prefix = str(home / "tables.txt"), Codec().prefix(AvatarFrame).hex()
    command = [java, *flags, "-cp", class_path, "FusionStreams", *_topics(settings), state, tables, prefix]
    return Program(command, environment(), settings.data_dir)


def _prepare_kafka_streams(cache_dir: Path, progress: Progress) -> None:
    """The jars by Maven, the classes by javac; again when a source changes."""
    source = HERE / "kafka_streams"
    home = _kafka_streams_home(cache_dir)
    javac = shutil.which("javac")
    if javac is None:
        raise PrerequisiteError("the Kafka Streams peer needs a Java development kit (javac)")
    _fetch_jars("Kafka Streams", source / "pom.xml", home, progress)
    shutil.rmtree(home / "classes", ignore_errors=True)
    sources = [str(path) for path in sorted(source.glob("*.java"))]
    run([javac, "-nowarn", "-d", str(home / "classes"), "-cp", f"{home / 'jars'}/*", *sources])
    write_tables(home / "tables.txt")
