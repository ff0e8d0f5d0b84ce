import pytest

from analytics.recordings.container import Entry, RecordingError
from analytics.recordings.reading import open_recording
from cli.replaying import _in_order, replay_in_process, replay_through_roles
from runtime.settings import Settings
from schemas.topics import AVATAR_FRAMES, SIGNALS
from tests.support.recordings import synthetic_arrivals, synthetic_recording, write_recording


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "made.afr"
    synthetic_recording(path, synthetic_arrivals(3, 6.0, seed=8))
    return open_recording(path)


def test_a_replay_is_bit_exact_and_quick(made):
    replayed = replay_in_process(made)
    assert replayed.difference.identical
    assert replayed.ok
    keys = replayed.keys()
    assert keys["sha256"] == replay_in_process(made).keys()["sha256"]
    assert keys["frames"] == len(replayed.frames) > 300
    assert keys["identical"] is True
    assert keys["recorded_s"] < 6.0 < keys["session_s"], "three people at a time"
    # Far from a timing assertion: it is some hundred times real time here, with a processor's own clock.
    assert keys["speedup"] > 1


def test_sessions_of_other_partitions_change_nothing(made, tmp_path):
    # As a recording of two partitions, with holes in the offsets where others' records stood.
    entries = [
        Entry(e.topic, hash(e.session_id) % 2 if e.topic == SIGNALS else 0, 3 * e.offset + 5, 0, e.session_id, e.value)
        for e in made.entries()
    ]
    moved = open_recording(write_recording(tmp_path / "moved.afr", entries))
    assert replay_in_process(moved).keys()["sha256"] == replay_in_process(made).keys()["sha256"]


def test_without_recorded_frames_there_is_nothing_to_compare(made, tmp_path):
    path = write_recording(tmp_path / "signals.afr", list(made.of(SIGNALS)))
    replayed = replay_in_process(open_recording(path))
    assert replayed.difference is None
    assert replayed.ok
    assert len(replayed.frames) > 300


def test_an_altered_frame_is_found(made, tmp_path):
    entries = list(made.entries())
    at = next(n for n, entry in enumerate(entries) if entry.topic == AVATAR_FRAMES)
    entries.pop(at)
    replayed = replay_in_process(open_recording(write_recording(tmp_path / "a.afr", entries)))
    assert not replayed.ok
    assert replayed.difference.only_in_b == 1


def test_records_go_out_as_they_were_published():
    entries = [
        Entry(SIGNALS, 0, 0, 100, "a", b"0"), Entry(SIGNALS, 0, 1, 90, "a", b"1"), Entry(SIGNALS, 0, 2, 120, "a", b"2"),
        Entry(SIGNALS, 1, 0, 95, "b", b"3"), Entry(SIGNALS, 1, 1, 110, "b", b"4"),
    ]  # fmt: skip
    assert [(at, value) for at, _, value in _in_order(entries)] == [
        (95_000, b"3"), (100_000, b"0"), (100_000, b"1"), (110_000, b"4"), (120_000, b"2"),
    ]  # fmt: skip


def test_media_that_was_not_consented_cannot_be_replayed(made):
    with pytest.raises(RecordingError, match="not consented"):
        replay_through_roles(Settings(), made, "media", 0.0, print)
