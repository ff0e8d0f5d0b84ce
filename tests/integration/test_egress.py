"""Egress against a real broker: the contract's messages, late joiners, slow clients, repeated frames, hostile input."""

import asyncio
import contextlib
import socket as sockets
import time
from itertools import count
from typing import Any

import cbor2
import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from egress import backlog, server
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.close_codes import CloseCode
from schemas.codec import Codec
from schemas.records import ClientEvent, DeadLetter, LedgerEntry
from schemas.topics import CLIENT_EVENTS, DEAD_LETTERS, LEDGER
from tests.support.edges import Running, egress, log_of
from tests.support.frames import FramePublisher
from tests.support.waiting import eventually_async

CLOCK = SystemClock()


def token(settings: Settings, session_id: str, *scopes: Any, ttl_s: float = 60) -> str:
    now_s = time.time()
    grant = Grant(session_id, "default", frozenset(scopes or {"watch"}), int(now_s + ttl_s))
    return Tokens(settings.token_key).issue(grant, issued_at_s=int(now_s))


def viewer(running: Running, session_id: str, **kwargs: Any) -> Any:
    shown = kwargs.pop("token", None) or token(running.role.settings, session_id)
    url = f"{running.ws}/v1/sessions/{session_id}/avatar?token={shown}"
    return connect(url, compression=None, proxy=None, **kwargs)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        data = await socket.recv()
    return orjson.loads(data) if isinstance(data, str) else cbor2.loads(data)


async def welcomed(socket: ClientConnection) -> dict[str, Any]:
    message = await receive(socket)
    assert message["type"] == "welcome"
    return message


async def packed(socket: ClientConnection) -> dict[str, Any]:
    """The next message of a viewer that takes frames in binary; of a frame its number."""
    async with asyncio.timeout(10):
        data = await socket.recv()
    if isinstance(data, str):
        return dict(orjson.loads(data))
    return {"type": "avatar_frame", "sequence": int.from_bytes(data[4:8], "little"), "session_id": data[192:].decode()}


async def frames(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await receive(socket)
        if message["type"] == "avatar_frame":
            found.append(message)
    return found


async def closed(socket: ClientConnection) -> int:
    async with asyncio.timeout(10):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


@pytest.mark.parametrize("wire", ["json", "cbor"])
async def test_messages_are_those_of_the_contract(settings: Settings, wire: str) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        async with viewer(running, "s1", subprotocols=[f"affectstream.{wire}"]) as socket:
            assert (await welcomed(socket))["format"] == wire
            publisher.publish("s1", 30, 31, 32, 33)
            messages = [await receive(socket) for _ in range(6)]
    assert [(m["type"], m["sequence"]) for m in messages] == [
        ("avatar_frame", 30),
        ("emotion_update", 30),
        ("avatar_frame", 31),
        ("avatar_frame", 32),
        ("avatar_frame", 33),
        ("emotion_update", 33),
    ]
    frame, emotion = messages[0], messages[1]
    assert frame["session_id"] == emotion["session_id"] == "s1"
    assert abs(frame["timestamp_ms"] - time.time() * 1_000) < 10_000
    assert frame["payload"]["blendshapes"]["smile"] == pytest.approx(0.8, abs=0.001)
    assert frame["payload"]["bone_transforms"]["head_yaw"] == pytest.approx(3.52, abs=0.01)
    assert frame["payload"]["viseme"] == "aa"
    assert frame["payload"]["particles"]["glow_intensity"] == pytest.approx(0.2, abs=0.001)
    assert emotion["payload"]["emotion"] == "happy"
    assert emotion["payload"]["au"]["au12_smile"] == pytest.approx(80 / 255, abs=0.001)
    assert emotion["payload"]["head_pose"]["yaw"] == pytest.approx(3.2, abs=0.01)
    assert emotion["payload"]["speaking_probability"] == pytest.approx(219 / 255, abs=0.001)
    assert frame["hops_ms"]["face"]["inferred"] == pytest.approx(5.0, abs=0.01)
    assert "speech" not in frame["hops_ms"]
    assert frame["hops_ms"]["relayed"] >= frame["hops_ms"]["fused"]


async def test_a_late_joiner_begins_at_the_newest_frame(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    publisher.publish("s1", *range(100))
    with egress(settings) as running:
        async with viewer(running, "s1") as early:
            await welcomed(early)
            publisher.publish("s1", 100, 101)
            assert [m["sequence"] for m in await frames(early, 2)] == [100, 101]
            async with viewer(running, "s1") as late:
                await welcomed(late)
                publisher.publish("s1", 102)
                assert [m["sequence"] for m in await frames(late, 1)] == [102]
                assert [m["sequence"] for m in await frames(early, 1)] == [102]


async def test_repeated_frames_are_sent_once_and_in_order(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        async with viewer(running, "s1") as socket:
            await welcomed(socket)
            publisher.publish("s1", 0, 1, 2, 3, 1, 2, 3, 4, 3, 5)
            assert [m["sequence"] for m in await frames(socket, 6)] == [0, 1, 2, 3, 4, 5]
        entries = ledger.until(lambda found: sum(entry.count for entry in found) == 10)
    counted = {entry.outcome: 0 for entry in entries}
    for entry in entries:
        counted[entry.outcome] += entry.count
    assert counted == {"used": 6, "duplicate": 4}


async def test_viewers_get_their_session_only(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        async with viewer(running, "s1") as one, viewer(running, "s2") as two:
            await welcomed(one)
            await welcomed(two)
            for session_id in ("s1", "s2", "s3"):
                publisher.publish(session_id, 0, 1)
            assert {m["session_id"] for m in await frames(one, 2)} == {"s1"}
            assert {m["session_id"] for m in await frames(two, 2)} == {"s2"}
        assert running.metric("records_in_total", topic="avatar.frames") == 4


async def test_a_slow_viewer_skips_and_is_told_while_others_go_on(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    total = 3_000
    with egress(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        narrow = sockets.socket()
        narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        narrow.connect((running.host, running.port))
        async with (
            viewer(running, "s1", sock=narrow, max_queue=1) as slow,
            viewer(running, "s1") as quick,
        ):
            await welcomed(slow)
            await welcomed(quick)
            for first in range(0, total, 50):
                burst = range(first, first + 50)
                await asyncio.to_thread(publisher.publish, "s1", *burst)
                assert [m["sequence"] for m in await frames(quick, 50)] == list(burst)
            seen, told = [], 0
            while not seen or seen[-1] < total - 1:
                message = await receive(slow)
                if message["type"] == "avatar_frame":
                    seen.append(message["sequence"])
                elif message["type"] == "skipped":
                    told += message["count"]
            assert seen == sorted(set(seen))
            assert told > 0
            assert len(seen) + told == total
        entries = ledger.until(lambda found: sum(entry.count for entry in found) == 2 * total)
        assert sum(entry.count for entry in entries if entry.outcome == "slow_client") == told


@pytest.fixture
def compiled_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "COMPILED_FROM", 1)


async def compiled(running: Running) -> None:
    """Return once frames are sent by compiled code."""

    async def is_compiled() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            return bool((await client.get(f"{running.url}/healthz")).json()["compiled"])

    await eventually_async(is_compiled, what="egress compiled", deadline_s=30)


@pytest.mark.usefixtures("compiled_from_one")
async def test_a_slow_viewer_of_many_binary_ones_skips_whole_frames(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    total, others = 6_000, 6
    binary = [Subprotocol("affectstream.binary")]
    with egress(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        narrow = sockets.socket()
        narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        narrow.connect((running.host, running.port))
        async with contextlib.AsyncExitStack() as stack:
            slow = await stack.enter_async_context(viewer(running, "s1", sock=narrow, max_queue=1, subprotocols=binary))
            quick = [await stack.enter_async_context(viewer(running, "s1", subprotocols=binary)) for _ in range(others)]
            for one in (slow, *quick):
                await welcomed(one)
            await compiled(running)
            for first in range(0, total, 100):
                burst = range(first, first + 100)
                await asyncio.to_thread(publisher.publish, "s1", *burst)
                # Control frames go between messages, whoever writes them.
                pongs = [await one.ping() for one in quick]
                for one in quick:
                    assert [(await packed(one))["sequence"] for _ in burst] == list(burst)
                for pong in pongs:
                    await asyncio.wait_for(pong, 10)
            seen, told = [], 0
            while not seen or seen[-1] < total - 1:
                message = await packed(slow)
                if message["type"] == "avatar_frame":
                    assert message["session_id"] == "s1"
                    seen.append(message["sequence"])
                else:
                    told += message["count"]
            assert seen == sorted(set(seen))
            assert told > 0
            assert len(seen) + told == total
        entries = ledger.until(lambda found: sum(entry.count for entry in found) == (1 + others) * total)
        assert sum(entry.count for entry in entries if entry.outcome == "slow_client") == told


@pytest.mark.usefixtures("compiled_from_one")
async def test_nothing_comes_behind_a_close(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    binary = [Subprotocol("affectstream.binary")]
    with egress(settings) as running, log_of(settings, LEDGER, LedgerEntry) as ledger:
        seen: list[int] = []
        async with (
            viewer(running, "s1", subprotocols=binary) as staying,
            viewer(running, "s1", token=token(running.role.settings, "s1", ttl_s=5), subprotocols=binary) as leaving,
        ):

            async def follow() -> None:
                for sequence in count():
                    await asyncio.to_thread(publisher.publish, "s1", sequence)
                    assert (await packed(staying))["sequence"] == sequence
                    assert (await packed(leaving))["sequence"] == sequence
                    seen.append(sequence)

            for one in (staying, leaving):
                await welcomed(one)
            await compiled(running)
            with pytest.raises(ConnectionClosed) as closed:
                await follow()
            # The client would have said 1002 (protocol error) if a frame had come behind the close.
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.BAD_TOKEN
        entries = ledger.until(lambda found: sum(entry.count for entry in found) >= 2 * len(seen) + 1)
        used = sum(entry.count for entry in entries if entry.outcome == "used")
        assert used in {2 * len(seen) + 1, 2 * len(seen) + 2}


async def test_without_a_compiler_frames_are_sent_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_lines: object) -> None:
        raise ImportError("no compiler here")

    monkeypatch.setattr(server, "COMPILED_FROM", 1)
    monkeypatch.setattr(server, "_compiled", fail)
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        async with viewer(running, "s1", subprotocols=[Subprotocol("affectstream.binary")]) as one:
            await welcomed(one)
            await asyncio.to_thread(publisher.publish, "s1", 0, 1)
            assert [(await packed(one))["sequence"] for _ in range(2)] == [0, 1]
            assert "without compiled code" in caplog.text


async def test_viewers_are_refused_while_frames_wait_too_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "FULL_S", 0.0)
    monkeypatch.setattr(backlog, "AGAIN_S", 0.0)
    monkeypatch.setattr(backlog, "FULL_AFTER_US", 0)
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        async with viewer(running, "s1") as first:
            await welcomed(first)
            await asyncio.to_thread(publisher.publish, "s1", 0)
            await frames(first, 1)
            with pytest.raises(InvalidStatus) as refused:
                await viewer(running, "s1")
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "2"
            assert running.metric("rejected_total", reason="overloaded") == 1
            await asyncio.to_thread(publisher.publish, "s1", 1)
            assert [frame["sequence"] for frame in await frames(first, 1)] == [1]

            async def taken() -> bool:
                try:
                    async with viewer(running, "s1") as later:
                        await welcomed(later)
                except InvalidStatus:
                    return False
                return True

            # Nothing comes any more, so nothing waits.
            await eventually_async(taken, every_s=0.2, what="viewers are taken again")


async def test_silence_is_said_once(settings: Settings) -> None:
    with egress(settings) as running:
        async with viewer(running, "s1") as socket:
            await welcomed(socket)
            message = await receive(socket)
            assert message["type"] == "stalled"
            FramePublisher(settings, CLOCK).publish("s1", 0)
            assert (await receive(socket))["type"] == "avatar_frame"


async def test_the_end_of_a_session_is_told_to_its_viewers(settings: Settings) -> None:
    ended = ClientEvent(0, 0, kind="session_ended", sequence=0, session_id="s1", client_id="", detail="deleted")
    with egress(settings) as running:
        async with viewer(running, "s1") as socket:
            await welcomed(socket)
            publisher = Publisher(settings)
            publisher.send(CLIENT_EVENTS, "s1", Codec().encode(ended))
            publisher.flush()
            FramePublisher(settings, CLOCK).publish("s1", 0)
            assert (await receive(socket))["type"] == "avatar_frame"
            assert await closed(socket) == CloseCode.SESSION_ENDED


async def test_who_comes_after_the_end_is_told_though_nobody_watched_then(settings: Settings) -> None:
    ended = ClientEvent(0, 0, kind="session_ended", sequence=0, session_id="s1", client_id="", detail="deleted")
    publisher = Publisher(settings)
    publisher.send(CLIENT_EVENTS, "s1", Codec().encode(ended))
    publisher.flush()
    with egress(settings) as running:
        async with viewer(running, "s1") as late, viewer(running, "s2") as early:
            await welcomed(late)
            await welcomed(early)
            assert (await receive(late))["type"] == "stalled"
            assert await closed(late) == CloseCode.SESSION_ENDED
            # A session that has not begun yet is waited for.
            FramePublisher(settings, CLOCK).publish("s2", 0)
            assert [m["session_id"] for m in await frames(early, 1)] == ["s2"]


async def test_packed_frames_are_binary_and_all_else_is_text(settings: Settings) -> None:
    with egress(settings) as running:
        async with viewer(running, "s1", subprotocols=["affectstream.binary"]) as socket:
            assert socket.subprotocol == "affectstream.binary"
            assert (await welcomed(socket))["format"] == "binary"
            FramePublisher(settings, CLOCK).publish("s1", 6)
            async with asyncio.timeout(10):
                data = await socket.recv()
            assert isinstance(data, bytes)
            assert data[0] == 1
            assert int.from_bytes(data[4:8], "little") == 6
            assert data[192:] == b"s1"


async def test_acknowledgements_and_ratings_are_written_down(settings: Settings) -> None:
    with egress(settings) as running, log_of(settings, CLIENT_EVENTS, ClientEvent) as events:
        async with viewer(running, "s1") as socket:
            await welcomed(socket)
            FramePublisher(settings, CLOCK).publish("s1", 7)
            (frame,) = await frames(socket, 1)
            await socket.send('{"type":"ping","client_us":123}')
            pong = await receive(socket)
            assert (pong["type"], pong["client_us"]) == ("pong", 123)
            rendered = CLOCK.now_us()
            await socket.send(orjson.dumps({"type": "ack", "sequence": 7, "rendered_at_us": rendered}).decode())
            await socket.send('{"type":"rating","value":4.5,"sequence":7}')
            await socket.send('{"type":"rating","felt":"happy","sequence":7}')
        found = events.until(lambda found: len(found) == 5)
    joined, acknowledged, rated, told, left = found
    assert [event.kind for event in found] == ["viewer_joined", "ack", "rating", "rating", "viewer_left"]
    assert [event.sequence for event in found] == [0, 1, 2, 3, 4]
    assert joined.client_id == left.client_id
    assert (acknowledged.frame_sequence, acknowledged.rendered_at_us) == (7, rendered)
    assert acknowledged.frame_captured_at_us // 1_000 == frame["timestamp_ms"]
    assert acknowledged.frame_captured_at_us <= acknowledged.relayed_at_us <= rendered
    assert (rated.value, rated.frame_sequence, rated.detail) == (4.5, 7, None)
    assert (told.value, told.frame_sequence, told.detail) == (None, 7, "happy")
    assert left.value == 0.0


@pytest.mark.parametrize(
    "message",
    [
        "garbage",
        "[]",
        b"\x00\x01",
        '{"type":"launch"}',
        '{"type":"rating","value":9}',
        '{"type":"rating","value":true}',
        '{"type":"rating","sequence":7}',
        '{"type":"rating","value":9,"felt":"happy"}',
        '{"type":"rating","felt":"hungry"}',
        '{"type":"ack","sequence":-1}',
        '{"type":"ack","sequence":"x"}',
    ],
)
async def test_malformed_messages_close_with_a_reason(settings: Settings, message: str | bytes) -> None:
    with egress(settings) as running:
        async with viewer(running, "s1") as socket:
            await socket.send(message)
            assert await closed(socket) == 4400
            assert socket.close_reason


async def test_tokens_and_rates_are_checked(settings: Settings) -> None:
    with egress(settings) as running:
        for shown, code in (
            (token(settings, "s2"), 4403),
            (token(settings, "s1", "audio", "manage"), 4403),
            (token(settings, "s1", ttl_s=-5), 4401),
            ("rubbish", 4401),
        ):
            async with viewer(running, "s1", token=shown) as socket:
                assert await closed(socket) == code
        async with viewer(running, "s1", origin="https://evil.example") as socket:
            assert await closed(socket) == 4403
        async with viewer(running, "s1", token=token(settings, "s1", ttl_s=1.5)) as socket:
            assert await closed(socket) == 4401
        async with viewer(running, "s1") as socket:
            with contextlib.suppress(ConnectionClosed):
                for i in range(2_000):
                    await socket.send(orjson.dumps({"type": "ack", "sequence": i}).decode())
            assert await closed(socket) == 4429
        assert running.metric("clients_connected", kind="viewer") >= 0


def wall(running: Running, *, shown: str | None = None, **kwargs: Any) -> Any:
    settings = running.role.settings
    now_s = int(time.time())
    observer = shown or Tokens(settings.token_key).observer(issued_at_s=now_s, ttl_s=60)
    return connect(
        f"{running.ws}/v1/wall",
        compression=None,
        proxy=None,
        subprotocols=["affectstream.json", f"bearer.{observer}"],
        **kwargs,
    )


async def present(socket: ClientConnection, *sessions: str) -> dict[str, int]:
    """The first presence that names these sessions."""
    while True:
        message = await receive(socket)
        if message["type"] == "presence" and message["quiet_ms"].keys() >= set(sessions):
            return message["quiet_ms"]


async def test_a_wall_shows_the_sessions_that_it_picks_and_knows_of_all(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        async with wall(running) as socket:
            assert (await welcomed(socket))["format"] == "json"
            await present(socket)

            seen = asyncio.create_task(present(socket, "a", "c"))
            sequences = iter(range(500))

            async def noticed() -> bool:
                sequence = next(sequences)
                publisher.publish("a", sequence)
                publisher.publish("c", sequence)
                return seen.done()

            await eventually_async(noticed, every_s=0.1)
            assert min((await seen).values()) >= 0
            await socket.send('{"type":"watch","sessions":["a","b"]}')
            await socket.send('{"type":"ping","client_us":1}')
            while (await receive(socket))["type"] != "pong":
                pass
            publisher.publish("b", 500)
            publisher.publish("c", 500)
            publisher.publish("a", 500)
            got = await frames(socket, 2)
            assert {message["session_id"] for message in got} == {"a", "b"}
            await socket.send('{"type":"watch","sessions":["c"]}')
            await socket.send('{"type":"ping","client_us":2}')
            while (await receive(socket))["type"] != "pong":
                pass
            publisher.publish("a", 501)
            publisher.publish("c", 501)
            assert [message["session_id"] for message in await frames(socket, 1)] == ["c"]
            assert running.metric("clients_connected", kind="viewer") <= 2

        async def nobody() -> bool:
            return running.metric("clients_connected", kind="viewer") == 0

        await eventually_async(nobody)


async def test_a_wall_is_for_observers_only(settings: Settings) -> None:
    tokens = Tokens(settings.token_key)
    now_s = int(time.time())
    with egress(settings) as running:
        for shown, code in (
            (token(settings, "s1", "watch", "manage"), 4403),
            (tokens.operator(issued_at_s=now_s, ttl_s=60), 4403),
            (tokens.observer(issued_at_s=now_s - 120, ttl_s=60), 4401),
        ):
            async with wall(running, shown=shown) as socket:
                assert await closed(socket) == code
        async with wall(running, shown=tokens.observer(issued_at_s=now_s, ttl_s=2)) as socket:
            assert await closed(socket) == 4401
        async with viewer(running, "s1", token=tokens.observer(issued_at_s=now_s, ttl_s=60)) as socket:
            assert await closed(socket) == 4403
        for message in ('{"type":"watch"}', '{"type":"watch","sessions":["*"]}', '{"type":"rating","value":3}'):
            async with wall(running) as socket:
                await socket.send(message)
                assert await closed(socket) == 4400


async def test_an_unreadable_frame_is_set_aside(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running, log_of(settings, DEAD_LETTERS, DeadLetter) as letters:
        async with viewer(running, "s1") as socket:
            await welcomed(socket)
            publisher.raw("s1", b"not a frame")
            publisher.publish("s1", 0)
            assert (await frames(socket, 1))[0]["sequence"] == 0
        letter = letters.until(len)[0]
    assert (letter.stage, letter.topic, letter.value) == ("egress", "avatar.frames", b"not a frame")


async def test_partitions_come_and_go_with_viewers(settings: Settings) -> None:
    publisher = FramePublisher(settings, CLOCK)
    with egress(settings) as running:
        for round_number in range(3):
            for session_id in ("a", "b", "c", "d"):
                async with viewer(running, session_id) as socket:
                    await welcomed(socket)
                    publisher.publish(session_id, round_number)
                    assert (await frames(socket, 1))[0]["sequence"] == round_number

        async def nobody() -> bool:
            return running.metric("clients_connected", kind="viewer") == 0

        await eventually_async(nobody)
