"""Groups of partitions in processes of their own: shared, moved, split and joined; and never two owners of one."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli.laboratory import FrameLog
from dataflows.ownership import read_claims
from dataflows.rescale import ASIDE, rescale
from dataflows.shard import Shard
from dataflows.store import held, read_identity, store_path
from runtime.errors import RecoveryError
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.topics import murmur2_partition, offset_ranges
from schemas.codec import Codec
from schemas.records import AvatarFrame, Signal
from schemas.topics import SIGNALS
from tests.support.prerequisites import REPOSITORY
from tests.support.processes import RoleProcess, running
from tests.support.signals import interleaved, messages, session_log
from tests.support.waiting import eventually

CODEC = Codec()


def conversation(sessions: int, seconds: float) -> list[Signal]:
    return interleaved([session_log(f"scaling-{n}", seconds) for n in range(sessions)])


def write(settings: Settings, signals: Sequence[Signal]) -> None:
    publisher = Publisher(settings)
    for signal in signals:
        publisher.send_waiting(SIGNALS, signal.session_id, CODEC.encode(signal))
    publisher.flush()


def expected(settings: Settings, signals: Sequence[Signal]) -> dict[tuple[str, int], bytes]:
    """What shards in this process make of the log."""
    frames = {}
    for partition in range(settings.partitions):
        own = [s for s in signals if murmur2_partition(s.session_id.encode(), settings.partitions) == partition]
        for session, value in Shard(partition, settings.partitions).step(messages(own)).frames:
            frames[session.decode(), CODEC.decode(AvatarFrame, value).sequence] = value
    return frames


def elsewhere(settings: Settings, name: str) -> Settings:
    """The same deployment, seen from a machine with a disk of its own."""
    other = settings.model_copy(update={"data_dir": settings.data_dir.with_name(name)})
    other.data_dir.mkdir()
    return other


def caught_up(settings: Settings) -> bool:
    claims = read_claims(settings, range(settings.partitions))
    return all(claims[p].offset >= end for p, (_, end) in offset_ranges(settings, SIGNALS).items())


def all_fused(settings: Settings, *processes: RoleProcess) -> None:
    def done() -> bool:
        assert all(process.ready() for process in processes)
        return caught_up(settings)

    eventually(done, deadline_s=60.0, every_s=0.1, what="every record fused")


def refusal(settings: Settings, *options: str) -> str:
    """What fusion says when it does not start."""
    fusion = RoleProcess("fusion", settings, *options)
    try:
        with pytest.raises(AssertionError, match="ended with"):
            fusion.start()
        return fusion.log()
    finally:
        fusion.kill()


@contextmanager
def fused_by(settings: Settings, *groups: str):
    """A process for each group."""
    with running("fusion", settings, "--partitions", groups[0]) as first:
        if groups[1:]:
            with fused_by(settings, *groups[1:]) as others:
                yield [first, *others]
        else:
            yield [first]


def test_groups_can_be_shared_moved_split_and_joined(settings: Settings) -> None:
    signals = conversation(8, 6.0)
    fifth = len(signals) // 5
    with fused_by(settings, "0-1") as processes:
        write(settings, signals[:fifth])
        all_fused(settings, *processes)
    # split: one becomes two
    assert rescale(settings, [[0], [1]]) == [store_path(settings, [0]), store_path(settings, [1])]
    with fused_by(settings, "0", "1") as processes:
        write(settings, signals[fifth : 2 * fifth])
        all_fused(settings, *processes)
    # moved: group 1 to another machine
    other = elsewhere(settings, "other")
    store_path(other, [1]).parent.mkdir()
    store_path(settings, [1]).rename(store_path(other, [1]))
    with fused_by(settings, "0") as (here,), fused_by(other, "1") as (there,):
        write(settings, signals[2 * fifth : 3 * fifth])
        all_fused(settings, here, there)
    # joined: by the command, where both stores lie
    store_path(other, [1]).rename(store_path(settings, [1]))
    command = [sys.executable, "-m", "cli", "rescale", "0-1"]
    environment = {
        **settings.to_env(),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": "/usr/bin:/bin",
        "HOME": str(Path.home()),
    }
    # The store that was split lies where the joined one is to lie, set aside under another name.
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(store_path(settings, [0, 1]))]
    with running("fusion", settings) as fusion:
        write(settings, signals[3 * fifth :])
        all_fused(settings, fusion)
    log = FrameLog(settings)
    assert log.frames == expected(settings, signals)
    # Each of them was stopped in order, so that nothing was done twice.
    assert log.repeated == 0
    # What others were made from is kept, and refused.
    old = store_path(settings, [0])
    (aside,) = old.parent.glob(f"{old.name}{ASIDE}*")
    aside.rename(old)
    assert "is not the one that partitions [0] were fused with last" in refusal(settings, "--partitions", "0")


def test_a_store_elsewhere_must_not_begin_from_nothing(settings: Settings) -> None:
    with running("fusion", settings):
        # Not a record was fused yet: the claim alone tells.
        assert "is missing" in refusal(elsewhere(settings, "other"))
        assert "is missing" in refusal(elsewhere(settings, "third"), "--partitions", "1")


def test_a_copy_of_the_store_fences_who_held_it(settings: Settings) -> None:
    signals = conversation(6, 4.0)
    half = len(signals) // 2
    first = RoleProcess("fusion", settings)
    other = elsewhere(settings, "other")
    try:
        first.start()
        write(settings, signals[:half])
        all_fused(settings, first)
        shutil.copytree(store_path(settings, [0, 1]), store_path(other, [0, 1]))
        with running("fusion", other) as second:
            write(settings, signals[half:])
            assert eventually(first.ended, deadline_s=20.0, what="the first is fenced") == 2
            assert "this process was fenced" in first.log()
            # It is not let in again: the copy is newer than what it was made from.
            assert f"process {second.pid}" in refusal(settings)
            all_fused(settings, second)
    finally:
        first.kill()
    assert FrameLog(settings).frames == expected(settings, signals)
    assert not FrameLog(settings).conflicts


def test_of_two_that_begin_at_once_one_goes_on(settings: Settings) -> None:
    """Neither has a store yet: whoever claims last must see it, although the groups only overlap."""
    signals = conversation(4, 2.0)
    both = [RoleProcess("fusion", settings), RoleProcess("fusion", elsewhere(settings, "other"), "--partitions", "0-1")]
    try:
        for process in both:
            process.launch()
        eventually(lambda: any(process.ended() is not None for process in both), deadline_s=60.0, every_s=0.1)
        (lost,) = [process for process in both if process.ended() is not None]
        (left,) = [process for process in both if process.ended() is None]
        assert lost.ended() == 2
        assert "is not the one that" in lost.log() or "is missing" in lost.log() or "was fenced" in lost.log()
        write(settings, signals)
        eventually(left.ready, deadline_s=30.0)
        all_fused(settings, left)
        assert left.stop() == 0
    finally:
        for process in both:
            process.kill()
    assert FrameLog(settings).frames == expected(settings, signals)


def test_an_older_copy_of_the_store_is_refused(settings: Settings) -> None:
    with running("fusion", settings):
        write(settings, conversation(1, 1.0))
        eventually(lambda: caught_up(settings))
    saved = settings.data_dir / "saved"
    shutil.copytree(store_path(settings, [0, 1]), saved)
    with running("fusion", settings):
        pass
    shutil.rmtree(store_path(settings, [0, 1]))
    saved.rename(store_path(settings, [0, 1]))
    assert "is not the one that partitions [0, 1] were fused with last" in refusal(settings)


def test_partitions_that_do_not_exist_are_refused(settings: Settings) -> None:
    assert "signals has the partitions 0 to 1, not all of [1, 2]" in refusal(settings, "--partitions", "1-2")


def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    with running("fusion", settings):
        pass
    path = store_path(settings, [0, 1])
    text = (path / "store.json").read_text(encoding="utf-8")
    assert '"partitions": 2' in text
    (path / "store.json").write_text(text.replace('"partitions": 2', '"partitions": 4'), encoding="utf-8")
    said = refusal(settings)
    assert "but partitions is now 2" in said
    assert "Nothing was changed" in said


def test_rescaling_refuses_what_it_cannot_do(settings: Settings) -> None:
    with pytest.raises(RecoveryError, match="some of the partitions 0-1 are none"):
        rescale(settings, [[0], [1]])
    with running("fusion", settings):
        with pytest.raises(RecoveryError, match="fuses these partitions already"):
            rescale(settings, [[0], [1]])
        with pytest.raises(RecoveryError, match="must hold the same partitions"):
            rescale(settings, [[0]])
    with pytest.raises(RecoveryError, match="empty or overlap"):
        rescale(settings, [[0], [0, 1]])
    path = store_path(settings, [0, 1])
    before = read_identity(path)
    with held(path), pytest.raises(RecoveryError, match="already"):
        rescale(settings, [[0], [1]])
    assert read_identity(path) == before
    (path / "part-0.sqlite3").write_bytes(b"no database at all, but some bytes of that length or so")
    with pytest.raises(RecoveryError, match="cannot be read"):
        rescale(settings, [[0], [1]])
    with pytest.raises(sqlite3.DatabaseError), closing(sqlite3.connect(path / "part-0.sqlite3")) as database:
        database.execute("SELECT * FROM snaps")
    assert read_identity(path) == before
