"""The fusion role on a real broker: what it writes, crashes, outages, clean stops, refusals."""

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli.broker import EmbeddedKafka, prepare
from dataflows.shard import Shard
from dataflows.store import store_path
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.topics import ensure_topics, murmur2_partition
from schemas.codec import Codec
from schemas.records import AvatarFrame, DeadLetter, LedgerEntry, Signal
from schemas.topics import AVATAR_FRAMES, DEAD_LETTERS, LEDGER, SIGNALS
from tests.support.kafka_log import read_topic
from tests.support.prerequisites import REPOSITORY, cache_dir
from tests.support.processes import RoleProcess, running
from tests.support.signals import interleaved, messages, session_log
from tests.support.waiting import eventually

CODEC = Codec()
Frames = dict[tuple[str, int], bytes]


def conversation(sessions: int, seconds: float) -> list[Signal]:
    return interleaved([session_log(f"role-{n}", seconds) for n in range(sessions)])


def write(settings: Settings, signals: Sequence[Signal]) -> None:
    publisher = Publisher(settings)
    for signal in signals:
        publisher.send_waiting(SIGNALS, signal.session_id, CODEC.encode(signal))
    publisher.flush()


@contextmanager
def writing(settings: Settings, signals: Sequence[Signal], *, a_second: int) -> Iterator[threading.Thread]:
    """Write in the background at a steady rate, and be done at the end of the block."""

    def run() -> None:
        publisher, begun = Publisher(settings), time.monotonic()
        for n, signal in enumerate(signals):
            threading.Event().wait(max(0.0, begun + n / a_second - time.monotonic()))
            publisher.send_waiting(SIGNALS, signal.session_id, CODEC.encode(signal))
        publisher.flush()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def expected(settings: Settings, signals: Sequence[Signal]) -> Frames:
    """Frames by (session, sequence), from shards in this process that never crashed."""
    by_partition = defaultdict(list)
    for signal in signals:
        by_partition[murmur2_partition(signal.session_id.encode(), settings.partitions)].append(signal)
    frames: Frames = {}
    for partition, own in by_partition.items():
        for session, value in Shard(partition, settings.partitions).step(messages(own)).frames:
            frames[session.decode(), CODEC.decode(AvatarFrame, value).sequence] = value
    return frames


def produced(settings: Settings) -> Frames:
    """Frames on the topic by (session, sequence); AssertionError if one stands there twice with different bytes."""
    frames: Frames = {}
    for message in read_topic(settings, AVATAR_FRAMES):
        value = message.value() or b""
        frame = CODEC.decode(AvatarFrame, value)
        key = frame.session_id, frame.sequence
        assert frames.setdefault(key, value) == value, key
        assert message.partition() == murmur2_partition(frame.session_id.encode(), settings.partitions)
    return frames


def ledger(settings: Settings) -> list[LedgerEntry]:
    return [CODEC.decode(LedgerEntry, message.value()) for message in read_topic(settings, LEDGER)]


def comes_to_equal(settings: Settings, wanted: Frames, *, deadline_s: float = 30.0) -> None:
    eventually(lambda: len(produced(settings)) >= len(wanted), deadline_s=deadline_s, every_s=0.2)
    assert produced(settings) == wanted


def test_frames_are_those_of_the_core_and_the_ledger_balances(settings: Settings) -> None:
    signals = conversation(6, 3.0)
    with running("fusion", settings) as fusion:
        write(settings, signals)
        comes_to_equal(settings, expected(settings, signals))
        eventually(lambda: sum(entry.count for entry in ledger(settings)) == len(signals), every_s=0.2)
        assert {entry.stage for entry in ledger(settings)} == {"fusion"}
        page = fusion.metrics()
        assert f'affectstream_signals_total{{outcome="used"}} {len(signals)}.0' in page
        assert "affectstream_sessions_active 0.0" in page
        begun = time.monotonic()
        assert fusion.stop() == 0
        assert time.monotonic() - begun < 15.0


def test_a_crashed_role_gives_the_frames_of_one_that_never_crashed(settings: Settings) -> None:
    signals = conversation(10, 8.0)
    rng = random.Random(7)
    fusion = RoleProcess("fusion", settings)
    try:
        with writing(settings, signals, a_second=500) as writer:
            for _ in range(3):
                fusion.start()
                writer.join(rng.uniform(0.3, 1.6))
                fusion.kill()
        fusion.start()
        comes_to_equal(settings, expected(settings, signals))
        assert fusion.stop() == 0
    finally:
        fusion.kill()


def test_a_stopped_role_goes_on_where_it_stopped(settings: Settings) -> None:
    signals = conversation(4, 4.0)
    half = len(signals) // 2
    with running("fusion", settings):
        write(settings, signals[:half])
        eventually(lambda: len(produced(settings)) > 100, every_s=0.1)
    with running("fusion", settings):
        write(settings, signals[half:])
        comes_to_equal(settings, expected(settings, signals))
    # Stopping closes the epoch, so nothing was done twice.
    assert len(read_topic(settings, AVATAR_FRAMES)) == len(expected(settings, signals))


def test_unreadable_records_become_dead_letters_and_the_flow_goes_on(settings: Settings) -> None:
    signals = conversation(1, 1.0)
    publisher = Publisher(settings)
    with running("fusion", settings):
        write(settings, signals[:10])
        for garbage in (b"", b"\x00garbage", CODEC.encode(signals[3])[:-4]):
            publisher.send(SIGNALS, "role-0", garbage)
        publisher.flush()
        write(settings, signals[10:])
        wanted = expected(settings, signals)
        comes_to_equal(settings, wanted)
        letters = [CODEC.decode(DeadLetter, m.value()) for m in read_topic(settings, DEAD_LETTERS)]
        assert [letter.value for letter in letters] == [b"", b"\x00garbage", CODEC.encode(signals[3])[:-4]]
        assert {(letter.stage, letter.topic) for letter in letters} == {("fusion", "signals")}
        eventually(lambda: sum(entry.count for entry in ledger(settings)) == len(signals) + 3, every_s=0.2)


def refusal(settings: Settings) -> str:
    """What the role says when it does not start."""
    fusion = RoleProcess("fusion", settings)
    try:
        with pytest.raises(AssertionError, match="ended with"):
            fusion.start()
        return fusion.log()
    finally:
        fusion.kill()


@pytest.fixture
def stopped(settings: Settings) -> Settings:
    """Fusion has run, made progress and stopped."""
    with running("fusion", settings):
        write(settings, conversation(2, 2.0))
        eventually(lambda: len(produced(settings)) > 100, every_s=0.1)
    return settings


def test_a_missing_store_is_refused_when_kafka_knows_of_progress(stopped: Settings) -> None:
    shutil.rmtree(store_path(stopped, range(stopped.partitions)))
    assert "is missing" in refusal(stopped)


def test_a_store_without_its_database_is_refused(stopped: Settings) -> None:
    (store_path(stopped, range(stopped.partitions)) / "part-0.sqlite3").unlink()
    assert "has lost part-0.sqlite3" in refusal(stopped)


def test_a_damaged_snapshot_is_refused(stopped: Settings) -> None:
    database = store_path(stopped, range(stopped.partitions)) / "part-0.sqlite3"
    with closing(sqlite3.connect(database)) as store, store:
        rows = store.execute("SELECT rowid, ser_change FROM snaps WHERE ser_change IS NOT NULL").fetchall()
        for rowid, change in rows:
            if b"affectstream-shard" in change:
                spoilt = change[:-9] + bytes([change[-9] ^ 1]) + change[-8:]
                store.execute("UPDATE snaps SET ser_change = ? WHERE rowid = ?", (spoilt, rowid))
    assert "snapshot is damaged" in refusal(stopped)


def test_a_second_owner_is_refused(settings: Settings) -> None:
    with running("fusion", settings) as first:
        said = refusal(settings)
        assert f"process {first.pid} fuses these partitions already" in said


def test_the_broker_may_go_away_for_some_seconds(tmp_path: Path) -> None:
    broker = EmbeddedKafka(prepare(cache_dir()), tmp_path / "kafka")
    broker.start()
    fusion = None
    try:
        settings = Settings.from_env(
            {}, kafka_bootstrap_servers=broker.bootstrap_servers, partitions=2, data_dir=tmp_path / "data"
        )
        ensure_topics(settings)
        signals = conversation(6, 6.0)
        fusion = RoleProcess("fusion", settings)
        fusion.start()
        with writing(settings, signals, a_second=400) as writer:
            writer.join(1.0)
            broker.kill()
            writer.join(3.0)
            broker.start()
        comes_to_equal(settings, expected(settings, signals))
        assert fusion.ready()
        broker.kill()
        begun = time.monotonic()
        assert fusion.stop() == 0
        assert time.monotonic() - begun < 15.0
    finally:
        if fusion is not None:
            fusion.kill()
        broker.kill()


def test_the_dataflow_runs_by_hand(settings: Settings) -> None:
    signals = conversation(1, 1.0)
    write(settings, signals)
    by_hand = subprocess.Popen(
        [sys.executable, "-m", "bytewax.run", "dataflows.fusion:flow"],
        cwd=REPOSITORY,
        env={**settings.to_env(), "PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
    )
    try:
        comes_to_equal(settings, expected(settings, signals))
    finally:
        by_hand.kill()
        by_hand.wait()
