"""Recording from a real Kafka, and replays through real roles."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analytics.recordings.container import Entry, Header, RecordingError
from analytics.recordings.frames import FrameDecoder
from analytics.recordings.reading import Recording, open_recording
from cli import sample
from cli.recorder import record
from cli.replaying import header_of, replay_in_process, replay_through_roles
from client.recording import pieces, tracks
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.settings import Settings
from schemas.codec import Codec, fingerprint
from schemas.media_framing import MediaKind
from schemas.records import AudioChunk, ClientEvent, SessionStarted, Signal, VideoFrame
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from tests.support.prerequisites import required
from tests.support.processes import running
from tests.support.recordings import write_recording
from tests.support.signals import START_US, ended, session_log, started

CLOCK = SystemClock()
CODEC = Codec()


def quiet(_line: str) -> None:
    return None


def storable(session_id: str) -> list[Signal]:
    """A session of two seconds whose raw media may be stored."""
    signals = [signal for _, signal in session_log(session_id, 2.0)]
    assert isinstance(signals[0].payload, SessionStarted)
    return [replace(signals[0], payload=replace(signals[0].payload, store_raw_consented=True)), *signals[1:]]


def publish_media(publisher: Publisher, session_id: str) -> None:
    picture = VideoFrame(START_US, START_US, START_US, 640, 480, 0, session_id, b"\xff\xd8 picture")
    chunk = AudioChunk(START_US, START_US, START_US, 16_000, 0, session_id, b"\x01\x02" * 320)
    publisher.send(MEDIA_VIDEO, session_id, CODEC.encode(picture))
    publisher.send(MEDIA_AUDIO, session_id, CODEC.encode(chunk))


@pytest.fixture
def log(settings: Settings) -> Iterator[Publisher]:
    """Sessions in Kafka, fused: with and without consent to store, with consent withdrawn, one that runs still."""
    publisher = Publisher(settings, linger_ms=1)
    for session_id in ("stored", "withdrawn", "silent"):
        for signal in storable(session_id):
            publisher.send_waiting(SIGNALS, session_id, CODEC.encode(signal))
        publish_media(publisher, session_id)
    for _, signal in session_log("plain", 2.0):
        publisher.send_waiting(SIGNALS, "plain", CODEC.encode(signal))
    publish_media(publisher, "plain")
    for _, signal in session_log("running", 1.0, end=False):
        publisher.send_waiting(SIGNALS, "running", CODEC.encode(signal))
    publisher.send(SIGNALS, "stored", b"no signal at all")
    for session_id, left in (("withdrawn", "audio video"), ("silent", "video store_raw")):
        event = ClientEvent(START_US, START_US, "consent_changed", 0, session_id, "c", detail=left)
        publisher.send(CLIENT_EVENTS, session_id, CODEC.encode(event))
    publisher.flush(30)
    with running("fusion", settings, deadline_s=120):
        yield publisher


def topics_of(recording: Recording) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in recording.entries():
        found.setdefault(entry.topic, []).append(entry)
    return found


def test_sessions_are_recorded_as_they_stand_in_the_log(settings: Settings, log: Publisher, tmp_path: Path) -> None:
    written = record(settings, ["stored", "plain", "withdrawn", "silent"], tmp_path / "a.afr", CLOCK, quiet)
    recording = open_recording(written.path)
    found = topics_of(recording)

    assert {name: len(entries) for name, entries in found.items()} == written.counts
    recorded = [entry.value for entry in found[SIGNALS] if entry.session_id == "plain"]
    assert recorded == [CODEC.encode(signal) for _, signal in session_log("plain", 2.0)]
    assert b"no signal at all" in {entry.value for entry in found[SIGNALS]}, "byte for byte, the unreadable too"
    assert {entry.session_id for entry in found[SIGNALS]} == {"stored", "plain", "withdrawn", "silent"}
    # Kafka's own timestamps are of the publishing, the records' times of the capture.
    now_ms = CLOCK.now_us() // 1_000
    assert all(abs(entry.published_at_ms - now_ms) < 600_000 for entry in found[SIGNALS])

    # Raw media: of whom it was consented to the end, by modality.
    assert [entry.session_id for entry in found[MEDIA_AUDIO]] == ["stored"]
    assert sorted(entry.session_id for entry in found[MEDIA_VIDEO]) == ["silent", "stored"]

    header = recording.header
    assert header.media
    assert {"face@1", "speech@1"} <= set(header.engines)
    described = {session.session_id: session for session in header.sessions}
    assert described["plain"].config["parameters"]["au12_gain"] == 1.1
    assert described["withdrawn"].consent == {"audio": True, "video": True, "store_raw": False}
    assert described["plain"].end_reason == "client_closed"
    for cls in ("Signal", "AvatarFrame", "AudioChunk", "VideoFrame"):
        assert header.schemas[fingerprint(cls).hex()]["name"] == cls
    assert header.models
    assert header.libraries["numba"]

    replayed = replay_in_process(recording)
    assert replayed.difference is not None
    assert replayed.difference.identical, json.dumps(replayed.difference.keys())
    assert len(replayed.frames) >= 4 * 58


def test_without_consent_there_is_no_media(settings: Settings, log: Publisher, tmp_path: Path) -> None:
    recording = open_recording(record(settings, ["plain"], tmp_path / "a.afr", CLOCK, quiet).path)
    assert not recording.has_media
    assert set(topics_of(recording)) == {SIGNALS, AVATAR_FRAMES}


def test_what_is_not_there_or_not_over_is_named(settings: Settings, log: Publisher, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="not in the log, which is kept for 7 days: nobody"):
        record(settings, ["plain", "nobody"], tmp_path / "a.afr", CLOCK, quiet)
    with pytest.raises(RecordingError, match="not ended yet: running; --follow"):
        record(settings, ["running"], tmp_path / "a.afr", CLOCK, quiet)
    with pytest.raises(RecordingError, match="between one and"):
        record(settings, [], tmp_path / "a.afr", CLOCK, quiet)
    assert not list(tmp_path.glob("*.afr"))

    def end_it(line: str) -> None:
        if line.startswith("waiting for the end"):
            log.send(SIGNALS, "running", CODEC.encode(ended("running", START_US + 1_000_000)))
            log.flush(10)

    followed = open_recording(record(settings, ["running"], tmp_path / "b.afr", CLOCK, end_it, follow=True).path)
    assert followed.header.sessions[0].ended
    replayed = replay_in_process(followed)
    assert replayed.difference is not None
    assert replayed.difference.identical


def test_replays_through_roles_and_kafka_give_the_same_bytes(
    settings: Settings, log: Publisher, tmp_path: Path
) -> None:
    recording = open_recording(record(settings, ["stored", "plain"], tmp_path / "a.afr", CLOCK, quiet).path)
    for speed in (0.0, 8.0):
        replayed = replay_through_roles(settings, recording, "signals", speed, quiet)
        assert replayed.difference is not None
        assert replayed.difference.identical
        # Time travel: the records are of then, Kafka's timestamps of now, so that retention takes no replay away.
        now_ms = time.time() * 1_000
        assert all(abs(entry.published_at_ms - now_ms) < 600_000 for entry in replayed.entries)
        frames = FrameDecoder().channels([entry.value for entry in replayed.entries])
        assert abs(frames[:, 0].min() - START_US) < 2_000_000


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Three seconds of the sample, as a consented session's media would stand in the log."""
    with required():
        played = sample.prepare(Settings.from_env({}), quiet)
    begin = started("film", START_US)
    entries = [Entry(SIGNALS, 0, 0, START_US // 1_000, "film", CODEC.encode(begin))]
    counts = {MediaKind.JPEG: 0, MediaKind.PCM16: 0}
    for piece in pieces(tracks(played.video, played.audio)):
        if piece.media_us >= 3_000_000:
            break
        at_us, number = START_US + piece.media_us, counts[piece.kind]
        counts[piece.kind] += 1
        stamps = (at_us, at_us + 2_000, at_us + 2_500)
        if piece.kind is MediaKind.JPEG:
            value = CODEC.encode(VideoFrame(*stamps, 640, 480, number, "film", piece.payload))
            entries.append(Entry(MEDIA_VIDEO, 0, number, stamps[2] // 1_000, "film", value))
        else:
            value = CODEC.encode(AudioChunk(*stamps, 16_000, number, "film", piece.payload))
            entries.append(Entry(MEDIA_AUDIO, 0, number, stamps[2] // 1_000, "film", value))
    close = ended("film", START_US + 3_000_000)
    entries.append(Entry(SIGNALS, 0, 1, START_US // 1_000 + 4_000, "film", CODEC.encode(close)))
    path = tmp_path_factory.mktemp("media") / "film.afr"
    return open_recording(write_recording(path, entries, Header("test", START_US, [], [], media=True)))


def test_media_is_inferred_anew_to_the_same_outputs(settings: Settings, media: Recording, tmp_path: Path) -> None:
    first = replay_through_roles(settings, media, "media", 0.0, quiet)
    assert first.difference is None, "nothing was recorded to compare with"
    assert first.media == 90 + 150
    assert 88 <= len(first.frames) <= 93
    # What the workers said is in the replay's own recording, and fuses to the very same frames.
    path = write_recording(tmp_path / "first.afr", first.entries, header_of(media, first, 0.0))
    recorded = open_recording(path)
    assert {"film"} == {entry.session_id for entry in recorded.of(SIGNALS)}
    again = replay_in_process(recorded)
    assert again.difference is not None
    assert again.difference.identical
    # A second time, at another pace, the workers say the same, and the frames are the same, but for the moments of
    # working: those are reported, by channel.
    second = replay_through_roles(settings, recorded_media(media, recorded, tmp_path), "media", 4.0, quiet)
    assert second.difference is not None
    assert not second.difference.only_in_a + second.difference.only_in_b
    differing = [name for name in second.difference.channels if "_hops_ms." not in name]
    assert not differing, second.difference.keys()
    both = open_recording(write_recording(tmp_path / "second.afr", second.entries, header_of(media, second, 4.0)))
    assert said_by_workers(both) == said_by_workers(recorded)


def said_by_workers(recording: Recording) -> dict[tuple[str, int], tuple[int, object]]:
    """Instant and payload of each signal, by modality and sequence."""
    codec = Codec()
    signals = [codec.decode(Signal, entry.value) for entry in recording.of(SIGNALS)]
    return {
        (type(signal.payload).__name__, signal.sequence): (signal.captured_at_us, signal.payload) for signal in signals
    }


def recorded_media(media: Recording, replayed: Recording, folder: Path) -> Recording:
    """The media with the frames of a replay, as if they had been recorded together."""
    entries = [*media.entries(), *replayed.of(AVATAR_FRAMES)]
    return open_recording(write_recording(folder / "both.afr", entries, media.header))


def test_signals_alone_hold_no_media(settings: Settings, log: Publisher, tmp_path: Path) -> None:
    recording = open_recording(record(settings, ["plain"], tmp_path / "a.afr", CLOCK, quiet).path)
    with pytest.raises(RecordingError, match="holds no sound or pictures"):
        replay_through_roles(settings, recording, "media", 0.0, quiet)
