"""Erasing sessions from every store of the whole product, and looking into each of them afterwards."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from analytics.recordings.reading import open_recording
from analytics.runfile import read as read_runfile
from cli.recorder import record
from cli.replaying import replay_in_process
from client import Session
from client.errors import ConnectionRefused
from runtime.clock import SystemClock
from runtime.erasures import Erasures
from runtime.errors import AffectstreamError
from runtime.kafka import Publisher
from runtime.keystore import key_store
from runtime.settings import Settings
from runtime.topics import ensure_topics, offset_ranges
from schemas.codec import Codec
from schemas.records import AudioChunk, LedgerEntry, Signal, VideoFrame
from schemas.topics import AVATAR_FRAMES, LEDGER, MEDIA_VIDEO, SIGNALS
from tests.support.edges import Running, egress
from tests.support.erased import SUBJECT, Person, Product, person, places_of, product
from tests.support.prerequisites import cache_dir
from tests.support.session_records import face
from tests.support.waiting import eventually

CLOCK = SystemClock()
CODEC = Codec()


def quiet(_line: str) -> None:
    return None


@pytest.fixture(scope="module")
def running(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Every role, for all tests of this module."""
    settings = Settings.from_env(
        {},
        kafka_bootstrap_servers=broker,
        topic_prefix=f"t{uuid.uuid4().hex[:10]}.",
        partitions=2,
        open_sessions=True,
        data_dir=tmp_path_factory.mktemp("erasure") / "data",
        cache_dir=cache_dir(),
    )
    settings.data_dir.mkdir()
    ensure_topics(settings)
    with product(settings) as made:
        yield made


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def rows_of(running: Product, table: str, session_id: str) -> int:
    with running.operator() as api:
        return int(api.sql(f"SELECT count() FROM {table} WHERE session_id = '{session_id}'")["rows"][0][0])


def everything(who: Person) -> list[bytes]:
    return [word for words in who.words.values() for word in words]


def test_nothing_of_a_session_is_left_and_others_keep_theirs(
    running: Product, runner: asyncio.Runner, tmp_path: Path
) -> None:
    here = running.settings
    stays = runner.run(person(running.edge.url, 1, 2.0, store_raw=True))
    runner.run(stays.session.end())
    goes = runner.run(person(running.edge.url, 2, 2.0, subject=SUBJECT, store_raw=True))
    name = goes.session.session_id
    eventually(lambda: rows_of(running, "frames", name) > 30, deadline_s=20, what="frames as rows")

    # A live session: its id and what was inferred stand there. What was seen and heard is sealed from the beginning.
    before = places_of(here, goes.words["id"], [here.data_dir])
    assert {"topic signals", "topic avatar.frames", "topic media.audio", "topic media.video"} <= set(before)
    assert any(place.startswith("fusion/") for place in before)
    assert any(place.startswith("clickhouse/") for place in before)
    assert not places_of(here, goes.words["pixels"] + goes.words["words"], [here.data_dir])

    with running.owner(goes.session.token) as owner:
        asked = owner.erase(name)
        assert asked["counts"]["keys"] == 3
        assert owner.erase(name)["number"] == asked["number"], "asked twice, done once"
        done = running.erased(owner, name)
        assert done["finished_at_us"] - done["asked_at_us"] < 60_000_000
        assert done["done"] == ["rows", "log", "stores", "files"]
        assert done["counts"]["rows avatar_frames"] > 30
        assert done["counts"]["records signals"] > 60
        assert name not in str(done)
        proof = owner.verify_erasure(name)
    assert proof["ok"], proof
    assert not [each for each in proof["stores"] if each["found"]]
    # Our own look, without the product's eyes: every record of Kafka, every byte of every file.
    assert places_of(here, [*everything(goes), SUBJECT.encode()], [here.data_dir]) == []

    # The edge has closed its connection, and takes it up nowhere.
    async def again() -> None:
        async with asyncio.timeout(20):
            other = Session(running.edge.url, goes.session.opened, "live")
            await other.connect(deadline_s=5)

    with pytest.raises(ConnectionRefused, match="has ended"):
        runner.run(again())

    # The other one was carried over: signals, frames, and the media that it let be stored.
    recording = open_recording(record(here, [stays.session.session_id], tmp_path / "a.afr", CLOCK, quiet).path)
    replayed = replay_in_process(recording)
    assert replayed.difference is not None
    assert replayed.difference.identical
    assert len(replayed.frames) > 50
    heard = [CODEC.decode(AudioChunk, entry.value).pcm for entry in recording.of("media.audio")]
    assert heard == stays.sounds
    seen = [CODEC.decode(VideoFrame, entry.value).jpeg for entry in recording.of("media.video")]
    assert seen, "a busy edge gives pictures up, never sound"
    assert set(seen) <= set(stays.pictures)
    assert rows_of(running, "frames", stays.session.session_id) == len(replayed.frames)


def test_logs_and_metrics_name_nobody_and_tell_no_secret(
    running: Product, runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """What every role says of a session, good and hostile, holds no id, subject, token, key, sound or picture."""
    caplog.set_level(logging.INFO)
    with egress(running.settings) as relay:
        who = runner.run(person(running.edge.url, 9, 1.0, subject="subject-of-the-logs"))
        name, token = who.session.session_id, who.session.token
        runner.run(_misbehaving(running, relay, name, token))
        publisher = Publisher(running.settings)
        for topic in (SIGNALS, AVATAR_FRAMES, MEDIA_VIDEO):
            publisher.send(topic, name, b"not a record, but the secret of " + name.encode())
        publisher.flush()
        eventually(lambda: rows_of(running, "frames", name) > 5, deadline_s=20, what="frames as rows")
        with running.owner(token) as owner, pytest.raises(AffectstreamError):
            owner.summary(f"{name}x")
        runner.run(who.session.end())
        told = {process.role: process.log() + process.metrics() for process in running.processes}
        # The test's own client logs whole addresses into the same process; no role does (runtime.logs).
        said = (r for r in caplog.records if not r.name.startswith(("httpx", "httpcore")))
        told["ingest and egress"] = "\n".join(f"{r.name} {r.getMessage()} {r.exc_text or ''}" for r in said)
        for service in (running.edge, relay):
            told[f"metrics of {service.role.name}"] = generate_latest(service.role.metrics.registry).decode()
    assert "dead letter" in told["fusion"], "the roles say something of what they were sent"
    words = [name, token, "subject-of-the-logs", running.settings.token_key, "secret of", f"{name}x"]
    words += [repr(word)[2:-1] for word in who.words["pixels"] + who.words["words"]]
    found = {(role, word) for role, text in told.items() for word in words if word in text}
    assert not found


async def _misbehaving(running: Product, relay: Running, name: str, token: str) -> None:
    """The session's id and token in the hands of somebody who does everything wrong."""
    session = f"/v1/sessions/{name}"
    for url, said in (
        (f"{running.edge.ws}{session}/media?token={token}", '{"type":"nothing"}'),
        (f"{running.edge.ws}{session}/media?token={token}", b"\xff" * 50),
        (f"{running.edge.ws}{session}x/media?token={token}", "{}"),
        (f"{relay.ws}{session}/avatar?token={token}", '{"type":"nothing"}'),
        (f"{relay.ws}{session}/avatar?token={token}x", "{}"),
        (f"{relay.ws}/v1/nothing?token={token}", "{}"),
    ):
        with contextlib.suppress(WebSocketException):
            async with connect(url, proxy=None, open_timeout=10) as socket:
                await socket.send(said)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        async for _ in socket:
                            pass
    async with httpx.AsyncClient(base_url=running.edge.url, trust_env=False) as http:
        await http.post("/v1/sessions", json={"subject": name * 20})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        await http.post(f"{session}/whip", content=f"v=0 {name}", headers=headers)
        await http.delete(f"{session}x", headers=headers)


def test_what_comes_late_does_not_come_back(running: Product, runner: asyncio.Runner) -> None:
    here = running.settings
    goes = runner.run(person(running.edge.url, 3, 1.0))
    name = goes.session.session_id
    eventually(lambda: rows_of(running, "face_signals", name) > 5, deadline_s=20, what="signals as rows")
    publisher = Publisher(here)
    late = 0

    def publish() -> None:
        """As a worker would that slept through everything."""
        nonlocal late
        publisher.send(SIGNALS, name, CODEC.encode(replace(face(name, 1_000 + late), captured_at_us=CLOCK.now_us())))
        entry = LedgerEntry(CLOCK.now_us(), "face_worker", "face", "used", 1, late, late, name)
        publisher.send(LEDGER, name, CODEC.encode(entry))
        publisher.flush()
        late += 1

    with running.owner(goes.session.token) as owner:
        owner.erase(name)
        # While it is erased, rows must not pass that come after the keys are gone.
        until_us = CLOCK.now_us() + 5_000_000
        while CLOCK.now_us() < until_us:
            publish()
        running.erased(owner, name)
        assert rows_of(running, "face_signals", name) == 0
        publish()
        # The log is cut once more, by itself.
        eventually(
            lambda: owner.erasure(name)["finished_at_us"] is not None and not places_of(here, [name.encode()], []),
            deadline_s=60,
            every_s=0.5,
            what=lambda: str(owner.erasure(name)),
        )
        for table in ("face_signals", "ledger", "sessions", "avatar_frames", "minute_aggregates"):
            assert rows_of(running, table, name) == 0, table
        assert owner.verify_erasure(name)["ok"]
    dropped = 'affectstream_dropped_total{modality="",outcome="erased"}'
    assert dropped in running.analytics.metrics()


def test_killed_between_steps_it_goes_on_without_knowing_the_id(running: Product, runner: asyncio.Runner) -> None:
    here = running.settings
    people = [runner.run(person(running.edge.url, 5 + n, 0.7, subject="killed")) for n in range(2)]
    for each in people:
        runner.run(each.session.end())
        eventually(lambda who=each: rows_of(running, "frames", who.session.session_id) > 5, deadline_s=20)
    erasures = Erasures(key_store(here.data_dir))
    with running.operator() as operator:
        asked = operator.erase_subject("killed")
    assert len(asked) == 2
    for step in ("rows", "log"):
        eventually(
            lambda step=step: all(step in each.done for each in erasures.newest(limit=2)),
            deadline_s=60,
            every_s=0.005,
            what=lambda: str(erasures.newest(limit=2)),
        )
        if erasures.unfinished():
            running.restart_analytics()
    eventually(lambda: not erasures.unfinished(), deadline_s=60, what=lambda: str(erasures.unfinished()))
    assert {each.asked_by for each in erasures.newest(limit=2)} == {"operator"}
    for each in people:
        assert places_of(here, everything(each), [here.data_dir]) == []
    with running.operator() as operator:
        assert operator.verify_erasure(people[0].session.session_id)["ok"]
        assert operator.erase_subject("killed") == [], "there is nothing of them any more"


def test_a_withdrawn_consent_erases_that_modality_and_the_session_goes_on(
    running: Product, runner: asyncio.Runner, tmp_path: Path
) -> None:
    here = running.settings
    who = runner.run(person(running.edge.url, 9, 1.5, store_raw=True))
    name = who.session.session_id
    eventually(lambda: rows_of(running, "face_signals", name) > 10, deadline_s=20)
    frames = rows_of(running, "frames", name)
    assert frames > 20
    erasures = Erasures(key_store(here.data_dir))
    runner.run(who.session.withdraw(video=True))
    asked = eventually(lambda: erasures.of(name, "video"), what="the request")
    assert asked.asked_by == "consent"
    assert set(key_store(here.data_dir).keys(name)) == {"audio", "record"}
    runner.run(talk(who, 40))
    eventually(lambda: not erasures.unfinished(), deadline_s=60, what=lambda: str(erasures.unfinished()))
    assert rows_of(running, "face_signals", name) == 0
    assert rows_of(running, "speech_signals", name) > 20
    assert rows_of(running, "frames", name) >= frames, "what was shown was shown with consent"
    runner.run(who.session.end())
    eventually(lambda: rows_of(running, "sessions", name) == 2, deadline_s=20)
    recording = open_recording(record(here, [name], tmp_path / "a.afr", CLOCK, quiet).path)
    topics = {entry.topic for entry in recording.entries()}
    assert "media.video" not in topics
    assert "media.audio" in topics
    sources = {type(CODEC.decode(Signal, entry.value).payload).__name__ for entry in recording.of(SIGNALS)}
    assert sources == {"SessionStarted", "SpeechSignal", "SessionEnded"}


async def talk(who: Person, count: int) -> None:
    for _ in range(count):
        await who.session.send_audio(who.sounds[0])
        await asyncio.sleep(0.05)


def test_the_owner_gets_a_recording_by_http(running: Product, runner: asyncio.Runner, tmp_path: Path) -> None:
    url = f"{running.operator()._http.base_url}".rstrip("/")

    def get(session_id: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{url}/v1/sessions/{session_id}/recording", headers=headers, timeout=60, trust_env=False)

    stored = runner.run(person(running.edge.url, 20, 0.7, store_raw=True))
    plain = runner.run(person(running.edge.url, 21, 0.7))
    live = get(stored.session.session_id, stored.session.token)
    assert (live.status_code, live.json()["code"]) == (409, "cannot_be_recorded")
    for who, has_media in ((stored, True), (plain, False)):
        name, token = who.session.session_id, who.session.token
        runner.run(who.session.end())
        eventually(lambda n=name: rows_of(running, "sessions", n) == 2, deadline_s=20)
        answer = get(name, token)
        assert answer.status_code == 200, answer.text
        path = tmp_path / f"{has_media}.afr"
        path.write_bytes(answer.content)
        recording = open_recording(path)
        assert recording.has_media == has_media
        replayed = replay_in_process(recording)
        assert replayed.difference is not None
        assert replayed.difference.identical
    # In the clear, its owner's own sound is in it, and nobody else may have it.
    pieces = [CODEC.decode(AudioChunk, e.value) for e in open_recording(tmp_path / "True.afr").of("media.audio")]
    assert [piece.pcm for piece in pieces] == stored.sounds
    assert get(stored.session.session_id, plain.session.token).status_code == 403
    operator = read_runfile(running.settings.data_dir)
    assert operator is not None
    assert get(stored.session.session_id, operator.token).status_code == 403
    eventually(lambda: not list(running.settings.data_dir.glob("recording-*")), what="the served files to be gone")


def test_who_may_not_erase(running: Product, runner: asyncio.Runner) -> None:
    mine = runner.run(person(running.edge.url, 11, 0.2))
    with running.owner(mine.session.token) as owner:
        for refused in (lambda: owner.erase("another"), lambda: owner.erase_subject("x"), owner.erasures):
            with pytest.raises(Exception, match=r"another session|operator"):
                refused()
    assert offset_ranges(running.settings, SIGNALS)
    runner.run(mine.session.end())
