"""Features taken at once are admitted, refused and told of as those that are awaited."""

import asyncio
import random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import connection as connections
from ingest.connection import Closing, Connection
from ingest.features import FeatureWriter
from ingest.headroom import Headroom, Shedding
from ingest.outbox import AUDIO_IN_FLIGHT, VIDEO_IN_FLIGHT, Outbox, Post
from ingest.sessions import Sessions
from runtime.clock import ManualClock
from runtime.tokens import Grant
from schemas.codec import Codec
from schemas.features import face_payload, speech_payload
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import Signal
from schemas.topics import SIGNALS
from schemas.vocabulary import Modality
from tests.support.signals import face_signal, speech_signal

T = 1_800_000_000_000_000
SCOPES = frozenset({"audio", "video", "face_on_device", "speech_on_device", "manage"})
FACE = face_payload(face_signal(3.0, random.Random(1)), engine="e@1", inference_us=10_000)
SPEECH = speech_payload(speech_signal(2.5, random.Random(1)), engine="e@1", inference_us=2_000)
CODEC = Codec()


class FakeCourier:
    """Holds records until they are acknowledged."""

    def __init__(self):
        self.sent, self.settled = [], []

    def send(self, topic, key, value, settled):
        self.sent.append((topic, key, value))
        self.settled.append(settled)

    def answer(self, acknowledged=True, *, most=10_000):
        now, self.settled = self.settled[:most], self.settled[most:]
        for settled in now:
            settled(acknowledged)


class FakeEdge:
    """What a connection asks of an edge, and all that it said to it."""

    def __init__(self):
        self.clock, self.codec, self.headroom = ManualClock(T), CODEC, Headroom()
        self.features = FeatureWriter(self.codec)
        self.sessions, self.bytes_in = Sessions(), dict.fromkeys(Modality, 0)
        self.notes, self.courier = [], FakeCourier()
        self.post = Post(self.courier, self.clock, self.note, [])

    def outbox(self, session):
        return Outbox(session, self.post)

    def note(self, session_id, modality, outcome, sequence=-1, count=1):
        del session_id
        self.notes.append((modality, outcome.value, sequence, count))

    def keeps_picture(self, session, now_us):
        return session.pictures.keep(self.headroom.shedding, now_us)

    def told(self):
        """The notes so far, with those of acknowledged items."""
        for way in self.post.untold:
            way.tell()
        self.post.untold.clear()
        return self.notes


class Client:
    """A session's connection, and what it sends to its client."""

    def __init__(self, *, scopes=SCOPES, timeline="live"):
        self.edge, self.messages, self.closed = FakeEdge(), [], None
        grant = Grant(
            session_id="s", tenant="t", scopes=scopes, expires_at_s=T // 1_000_000 + 600, timeline=timeline,
            started_at_us=T,
        )  # fmt: skip
        self.session = self.edge.sessions.take_up(grant, T)
        self.connection = Connection(self.edge, self.session, self.send)

    async def send(self, text):
        self.messages.append(orjson.loads(text))

    async def bring(self, data, *, directly=True):
        """As a transport does it; whether it was taken at once."""
        if directly and self.connection.offer_binary(data):
            return True
        try:
            await asyncio.wait_for(self.connection.on_binary(data), 5)
        except Closing as closing:
            self.closed = closing.code, closing.reason
        return False


def face(sequence, at_us=T, payload=FACE):
    return MediaMessage(MediaKind.FACE_FEATURES, sequence, at_us, payload).to_bytes()


def hop(sequence, at_us=T, payload=SPEECH):
    return MediaMessage(MediaKind.SPEECH_FEATURES, sequence, at_us, payload).to_bytes()


async def test_features_are_taken_at_once():
    client = Client()
    assert await client.bring(face(0))
    assert await client.bring(hop(0))
    assert await client.bring(face(1))
    assert [(topic, key) for topic, key, _ in client.edge.courier.sent] == [(SIGNALS, "s")] * 3
    signals = [CODEC.decode(Signal, value) for _, _, value in client.edge.courier.sent]
    assert [signal.source for signal in signals] == ["client:e@1"] * 3
    client.edge.courier.answer()
    assert client.session.acknowledged == {Modality.FACE: 1, Modality.SPEECH: 0}
    assert client.edge.told() == [("face", "used", 0, 2), ("speech", "used", 0, 1)]
    assert client.edge.bytes_in == {Modality.FACE: 2 * (16 + len(FACE)), Modality.SPEECH: 16 + len(SPEECH)}


async def test_acknowledged_items_are_noted_in_runs():
    client = Client()
    for sequence in (0, 1, 4, 5):
        await client.bring(face(sequence))
    client.edge.courier.answer(most=2)
    assert client.edge.told() == [("face", "used", 0, 2)]
    client.edge.courier.answer(most=1)
    client.edge.courier.answer(False)
    await client.bring(face(7))
    client.edge.courier.answer()
    assert client.edge.told()[1:] == [
        ("face", "broker_unavailable", 5, 1),
        ("face", "used", 4, 1),
        ("face", "used", 7, 1),
    ]


@pytest.mark.parametrize("timeline", ["live", "recorded"])
async def test_what_would_wait_is_not_taken_at_once(timeline):
    client = Client(timeline=timeline)
    most = VIDEO_IN_FLIGHT if timeline == "live" else 32
    for sequence in range(most):
        assert client.connection.offer_binary(face(sequence, sequence))
    assert not client.connection.offer_binary(face(most, most))
    assert client.session.last_sequence == {Modality.FACE: most - 1}
    assert client.connection.offer_binary(hop(0, 40_000))  # of the other there is enough room
    await client.bring(face(most, most), directly=False)
    assert len(client.edge.courier.sent) == most + 1
    client.edge.clock.advance(us=40_000)
    # In a recording nothing may overtake what waits.
    assert client.connection.offer_binary(hop(1, 80_000)) is (timeline == "live")
    client.edge.courier.answer()
    client.edge.courier.answer()
    assert ("face", "used", 0, most + 1) in client.edge.told()
    assert client.connection.offer_binary(face(most + 1, most + 1))


async def test_sound_waits_for_room():
    client = Client()
    for sequence in range(AUDIO_IN_FLIGHT):
        assert client.connection.offer_binary(hop(sequence, sequence * 40_000))
        client.edge.clock.advance(us=40_000)
    for sequence in range(AUDIO_IN_FLIGHT, AUDIO_IN_FLIGHT + 64):
        assert not await client.bring(hop(sequence, sequence * 40_000))
        client.edge.clock.advance(us=40_000)
    late = asyncio.create_task(client.bring(hop(200, 200 * 40_000)))
    await asyncio.sleep(0)
    assert not late.done()
    client.edge.courier.answer(most=1)
    assert await late is False
    for _ in range(3):
        client.edge.courier.answer()
    assert client.edge.told() == [("speech", "used", 0, 128), ("speech", "used", 200, 1)]


async def test_a_refused_item_is_noted_once_and_the_client_is_told():
    client = Client()
    await client.bring(face(5))
    assert not await client.bring(face(5))
    assert client.messages == [
        {
            "type": "notice", "code": "out_of_order", "modality": "video", "sequence": 5, "count": 1,
            "message": "the sequence does not rise",
        }
    ]  # fmt: skip
    assert await client.bring(face(4))  # noted at once: the client has just been told
    assert len(client.messages) == 1
    client.edge.clock.advance(seconds=1)
    assert not await client.bring(face(3))
    assert client.messages[1]["count"] == 2
    assert client.edge.told() == [("face", "out_of_order", sequence, 1) for sequence in (5, 4, 3)]


async def test_pictures_are_shed_at_once():
    client = Client()
    client.edge.headroom.shedding = Shedding.FRAMES
    for sequence in range(20):
        await client.bring(face(sequence))
        await client.bring(hop(sequence, T + sequence * 40_000))
    assert [message["code"] for message in client.messages if message["modality"] == "video"] == ["shed"]
    assert client.edge.notes.count(("face", "shed", 19, 1)) == 1
    assert client.closed is None


async def test_too_many_refused_close_the_connection():
    client = Client()
    await client.bring(face(0))
    for _ in range(102):
        await client.bring(face(0))
        if client.closed:
            break
    assert client.closed == (connections.CLOSE_FOR["out_of_order"], client.closed[1])
    assert "too many refused items" in client.closed[1]
    assert client.edge.told() == [("face", "out_of_order", 0, 1)] * 101


@pytest.mark.parametrize(
    "data",
    [
        b"",
        face(0)[:16],
        b"\x04\x01" + face(0)[2:],
        b"\x04\x00\x01" + face(0)[3:],
        b"\x09" + face(0)[1:],
        MediaMessage(MediaKind.PCM16, 0, T, bytes(1_280)).to_bytes(),
    ],
)
async def test_what_is_no_feature_message_is_left_alone(data):
    client = Client()
    assert not client.connection.offer_binary(data)
    assert client.edge.notes == []
    assert client.edge.bytes_in == dict.fromkeys(Modality, 0)


async def test_nothing_is_taken_at_once_when_the_connection_is_to_close():
    client = Client()
    client.connection.replaced()
    assert not client.connection.offer_binary(face(0))
    assert client.session.last_sequence == {}


async def test_what_goes_wrong_is_raised_where_it_is_awaited():
    client = Client()

    def broken(*_):
        raise RuntimeError("broken")

    client.edge.courier.send = broken
    assert not client.connection.offer_binary(face(0))
    with pytest.raises(RuntimeError, match="broken"):
        await client.connection.on_binary(face(0))


async def test_withdrawn_consent_counts_at_once():
    client = Client()
    assert await client.bring(face(0))
    client.session.consent = client.session.consent.narrowed(video=False)
    assert not await client.bring(face(1))
    assert client.messages[0]["code"] == "no_consent"
    assert await client.bring(hop(0))


HARM = {
    "none": lambda payload: payload,
    "short": lambda payload: payload[:50],
    "layout": lambda payload: b"\x02" + payload[1:],
    "range": lambda payload: payload[:20] + b"\x00\x00\x80\x7f" + payload[24:],
    "engine": lambda payload: payload[:-1] + b"!",
}


def encoded(kind, sequence, at_us, harmed):
    if kind == "junk":
        return b"\x04\x05" + bytes(30)
    if kind == "media":
        return MediaMessage(MediaKind.PCM16, sequence, at_us, bytes(1_279)).to_bytes()
    return face(sequence, at_us, harmed(FACE)) if kind == "face" else hop(sequence, at_us, harmed(SPEECH))


messages = st.tuples(
    st.sampled_from(["face", "face", "hop", "hop", "media", "junk"]),
    st.integers(-1, 2),
    st.sampled_from([*HARM, "none", "none", "none"]),
)
steps = st.one_of(
    messages,
    messages,
    messages,
    st.tuples(st.just("wait"), st.sampled_from([0, 1_000, 40_000, 700_000])),
    st.tuples(st.just("answer"), st.booleans()),
    st.tuples(st.just("shed"), st.sampled_from(Shedding)),
    st.tuples(st.just("withdraw"), st.sampled_from(["audio", "video"])),
)


@given(
    st.lists(steps, max_size=60),
    st.sampled_from(["live", "recorded"]),
    st.sampled_from([SCOPES, SCOPES - {"video"}, SCOPES - {"speech_on_device"}]),
)
@settings(deadline=None)
def test_both_ways_have_the_same_effect(plan, timeline, scopes):
    async def run(directly):
        client = Client(scopes=scopes, timeline=timeline)
        edge, sequence = client.edge, 5
        for step in plan:
            if client.closed:
                break
            if step[0] == "wait":
                edge.clock.advance(us=step[1])
            elif step[0] == "answer":
                edge.courier.answer(step[1])
            elif step[0] == "shed":
                edge.headroom.shedding = step[1]
            elif step[0] == "withdraw":
                client.session.consent = client.session.consent.narrowed(**{step[1]: False})
            else:
                kind, ahead, harm = step
                sequence += ahead
                at_us = sequence * 40_000
                if len(edge.courier.settled) > 7:
                    edge.courier.answer()
                data = encoded(kind, sequence, at_us, HARM[harm])
                await client.bring(data, directly=directly)
        edge.courier.answer()
        return (
            edge.courier.sent,
            edge.told(),
            client.messages,
            client.closed,
            edge.bytes_in,
            client.session.last_sequence,
        )

    assert asyncio.run(run(True)) == asyncio.run(run(False))
