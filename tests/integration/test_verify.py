"""The verifications themselves: they pass on the product, say what they found, and notice what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.crash import Result, _compare, _count
from cli.laboratory import AnalyticsProcess, FrameLog, VerificationError, own_topics
from cli.replay_check import groups
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES
from tests.support.frames import avatar_frame
from tests.support.prerequisites import REPOSITORY

KEYS = {"kills", "identical", "lost", "duplicated", "repeated", "seconds", "sha256", "hit", "recovery_s"}


def verify(settings: Settings, *arguments: str) -> tuple[int, dict, str]:
    """Exit code, JSON and what was said."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AFFECTSTREAM_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "verify", *arguments, "--json"],
        env={**own, **settings.to_env(), "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_three_kills_change_nothing(settings: Settings) -> None:
    code, found, said = verify(settings, "crash", "--kills", "3", "--sessions", "8", "--seed", "3")
    assert code == 0, said
    assert found.keys() >= KEYS
    assert (found["kills"], found["identical"], found["lost"], found["duplicated"]) == (3, True, 0, 0)
    assert sum(found["hit"].values()) == 3
    assert found["frames"] > 100
    assert found["rows"] == found["records"] == found["frames"] + found["repeated"]
    assert not list(Path(settings.data_dir).glob("verify-*")), "nothing is left behind"


def test_a_log_gives_one_digest_at_any_speed_by_any_number_of_processes(settings: Settings) -> None:
    # The topics of the verification have as many partitions as the settings say.
    code, found, said = verify(
        settings.model_copy(update={"partitions": 4}),
        "replay", "--speeds", "4,0", "--processes", "1,2", "--seconds", "6", "--sessions", "6",
    )  # fmt: skip
    assert code == 0, said
    assert found["identical"]
    assert [(run["speed"], run["processes"]) for run in found["runs"]] == [(4, 1), (4, 2), (0, 1), (0, 2)]
    assert {run["sha256"] for run in found["runs"]} == {found["sha256"]}
    assert any(run["pauses"] for run in found["runs"])


def publish(settings: Settings, frames: list[tuple[str, int, int]]) -> None:
    """(session, sequence, smile) each."""
    publisher, codec = Publisher(settings), Codec()
    for session, sequence, smile in frames:
        frame = avatar_frame(session, sequence)
        value = codec.encode(frame).replace(frame.blendshapes, frame.blendshapes[:-1] + bytes([smile]))
        publisher.send(AVATAR_FRAMES, session, value)
    publisher.flush()


@pytest.mark.parametrize(
    "there, lost, different, repeated",
    [
        ([("a", 0, 1), ("a", 1, 1), ("b", 0, 1)], 0, 0, 0),
        ([("a", 0, 1), ("a", 1, 1), ("a", 0, 1), ("b", 0, 1)], 0, 0, 1),
        ([("a", 0, 1), ("b", 0, 1)], 1, 0, 0),
        ([("a", 0, 1), ("a", 1, 2), ("b", 0, 1)], 0, 1, 0),
        ([("a", 0, 1), ("a", 0, 2), ("a", 1, 1), ("b", 0, 1)], 0, 1, 1),
        ([("a", 0, 1), ("a", 1, 1), ("b", 0, 1), ("c", 0, 1)], 0, 1, 0),
    ],
)
def test_a_difference_is_noticed(
    settings: Settings, there: list[tuple[str, int, int]], lost: int, different: int, repeated: int
) -> None:
    wanted = [("a", 0, 1), ("a", 1, 1), ("b", 0, 1)]
    with own_topics(settings, "crashed") as crashed, own_topics(settings, "uncrashed") as uncrashed:
        publish(crashed, there)
        publish(uncrashed, wanted)
        result = Result(kills=0)
        _compare(FrameLog(crashed), FrameLog(uncrashed), result)
    assert (result.lost, result.different, result.repeated) == (lost, different, repeated)
    assert result.identical == result.ok == (lost == different == 0)


def test_rows_are_counted_against_frames(settings: Settings) -> None:
    with own_topics(settings, "crashed") as crashed:
        publish(crashed, [("a", 0, 1), ("a", 0, 1), ("a", 1, 1), ("b", 0, 1)])
        there = FrameLog(crashed)
        analytics = AnalyticsProcess(crashed)
        analytics.start()
        try:
            analytics.wait_until((crashed.data_dir / "analytics.json").exists, "the API")
            held = Result(kills=0, identical=True)
            _count(crashed, analytics, there.frames, held)
            assert (held.identical, held.lost, held.duplicated, held.rows) == (True, 0, 0, 4)
            short = Result(kills=0, identical=True)
            _count(crashed, analytics, {**there.frames, ("c", 0): b""}, short)
            assert (short.lost, short.duplicated, short.ok) == (1, 0, False)
            long = Result(kills=0, identical=True)
            _count(crashed, analytics, {("a", 0): b""}, long)
            assert (long.different, long.ok) == (2, False)
        finally:
            analytics.kill()


def test_partitions_are_shared_evenly() -> None:
    assert groups(6, 4) == [range(1), range(1, 3), range(3, 4), range(4, 6)]
    assert groups(2, 2) == [range(1), range(1, 2)]
    with pytest.raises(VerificationError, match="2 partitions cannot be shared by 3 processes"):
        groups(2, 3)
