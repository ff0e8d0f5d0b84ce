"""What reads bytes of strangers, each as one function of bytes: anything but the errors that it promises is a finding.

Seeds are good examples, from which fuzzers go on. Targets hold no state but caches, so that one input is one verdict.
"""

import contextlib
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from analytics.errors import QueryRefused
from analytics.recordings.container import RecordingError
from analytics.recordings.reading import open_recording
from analytics.statement import read_only
from egress.audience import Violation, parsed
from egress.wall import picked
from ingest.admission import Refused, check_kind
from ingest.features import read_face, read_speech
from ingest.webrtc.offer import OfferError, parse_fragment, parse_offer
from runtime.addresses import client_address, parse_networks
from runtime.errors import TokenError
from runtime.origins import origin_allowed
from runtime.tokens import Grant, Tokens
from schemas.bulk import BULK_FROM, SignalBatchReader
from schemas.codec import Codec, DecodeError
from schemas.features import face_payload, speech_payload
from schemas.media_framing import FramingError, MediaKind, MediaMessage, parse
from schemas.records import TOP_LEVEL, Signal
from tests.support.pictures import jpeg, tone
from tests.support.prerequisites import REPOSITORY
from tests.support.signals import face_signal, speech_signal

CODEC: Final = Codec()
READER: Final = SignalBatchReader(CODEC)
TOKENS: Final = Tokens("0123456789abcdef" * 4)
TRUSTED: Final = parse_networks("127.0.0.1,10.0.0.0/8")
RECORDS: Final = tuple(TOP_LEVEL.values())

OFFER: Final = """v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdef01234567\r
a=fingerprint:sha-256 AA:BB\r
a=setup:actpass\r
a=mid:0\r
a=sendonly\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=mid:1\r
a=sendonly\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=640c1f\r
"""
FRAGMENT: Final = "a=ice-ufrag:abcd\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed."""

    name: str
    read: Callable[[bytes], None]
    """Raises only what it should not."""
    seeds: Callable[[], Sequence[bytes]]
    longest: int


def media(data: bytes) -> None:
    """The media WebSocket's binary messages: framing, then the limits of each kind."""
    with contextlib.suppress(FramingError, Refused):
        message = parse(data)
        assert message.to_bytes() == data
        if not message.is_features:
            check_kind(message.kind, message.payload)


def features(data: bytes) -> None:
    """Features of on-device clients."""
    for read in (read_face, read_speech):
        with contextlib.suppress(Refused):
            read(data)


def records(data: bytes) -> None:
    """Records of every schema, as any role reads them from Kafka; the first byte chooses which."""
    cls = RECORDS[data[0] % len(RECORDS)] if data else RECORDS[0]
    try:
        record = CODEC.decode(cls, data[1:])
    except DecodeError:
        return
    CODEC.encode(record)


def signals(data: bytes) -> None:
    """Signals many at once, as fusion reads them: the same verdict as one by one."""
    batch = READER.read([data] * BULK_FROM)
    single = READER.read([data])
    assert {int(kind) for kind in batch.kind} == {int(single.kind[0])}


def offers(data: bytes) -> None:
    """SDP offers and trickled candidates."""
    text = data.decode(errors="replace")
    for read in (parse_offer, parse_fragment):
        with contextlib.suppress(OfferError):
            read(text)


def recordings(data: bytes) -> None:
    """Recording files, header and every entry."""
    with tempfile.NamedTemporaryFile(dir=_memory(), suffix=".afr") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(RecordingError):
            for _ in open_recording(Path(file.name)).entries():
                pass


def tokens(data: bytes) -> None:
    """What is shown as a token: never a grant, unless it is the one that was signed."""
    text = data.decode(errors="replace")
    try:
        TOKENS.verify(text, now_s=0, audience="ingest")
    except TokenError:
        return
    assert text.encode() in token_seeds()


def viewers(data: bytes) -> None:
    """Messages of viewers and walls."""
    with contextlib.suppress(Violation, ValueError):
        picked(parsed(data.decode(errors="replace")), "acme")


def headers(data: bytes) -> None:
    """Origin, Host and X-Forwarded-For."""
    origin, _, rest = data.decode(errors="replace").partition("\n")
    host, _, forwarded = rest.partition("\n")
    if origin_allowed(origin, host, "https://example.org"):
        assert "example.org" in origin.lower()
    origin_allowed(origin, host, "")
    assert client_address("192.0.2.1", forwarded, TRUSTED) == "192.0.2.1"
    client_address("127.0.0.1", forwarded, TRUSTED)


def statements(data: bytes) -> None:
    """SQL that is to be read-only."""
    with contextlib.suppress(QueryRefused):
        read_only(data.decode(errors="replace"))


def _memory() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112 - a file that no disk sees


def _features() -> list[bytes]:
    rng = random.Random(1)
    face = face_payload(face_signal(1.0, rng), engine="engine@1", inference_us=1_000)
    return [face, speech_payload(speech_signal(1.0, rng), engine="engine@1", inference_us=1_000)]


def _media() -> list[bytes]:
    kinds = ((MediaKind.JPEG, jpeg(64, 48)), (MediaKind.PCM16, tone(20)), (MediaKind.OPUS, b"\x78" * 40))
    messages = [MediaMessage(kind, 7, 1_800_000_000_000_000, payload).to_bytes() for kind, payload in kinds]
    return [*messages, MediaMessage(MediaKind.FACE_FEATURES, 7, 0, _features()[0]).to_bytes()]


def _records() -> list[bytes]:
    found = []
    for path in sorted((REPOSITORY / "schemas" / "examples").glob("*/*.avro")):
        for number, cls in enumerate(RECORDS):
            try:
                CODEC.decode(cls, path.read_bytes())
            except DecodeError:
                continue
            found.append(bytes([number]) + path.read_bytes())
    return found


def _signals() -> list[bytes]:
    return [path.read_bytes() for path in sorted((REPOSITORY / "schemas" / "examples" / "signals").glob("*.avro"))]


def _recordings() -> list[bytes]:
    whole = (REPOSITORY / "tests" / "recordings" / "sample.afr").read_bytes()
    return [whole[:4_096], whole[:20_000], whole]


def token_seeds() -> list[bytes]:
    """One token that is good."""
    grant = Grant("s-1", "acme", frozenset({"manage", "audio"}), expires_at_s=2_000)
    return [TOKENS.issue(grant, issued_at_s=0).encode()]


def _viewers() -> list[bytes]:
    said = ({"type": "watch", "sessions": ["a", "b"]}, {"type": "ack", "sequence": 7, "rendered_at_us": 8},
            {"type": "rating", "value": 3, "felt": "happy"}, {"type": "ping", "client_us": 1})  # fmt: skip
    return [orjson.dumps(message) for message in said]


TARGETS: Final = (
    Target("media framing", media, _media, 4_096),
    Target("feature frames", features, _features, 1_024),
    Target("Avro records", records, _records, 2_048),
    Target("Avro signals in bulk", signals, _signals, 2_048),
    Target("SDP", offers, lambda: [OFFER.encode(), FRAGMENT.encode()], 4_096),
    Target("recordings", recordings, _recordings, 131_072),
    Target("tokens", tokens, token_seeds, 1_024),
    Target("viewers' messages", viewers, _viewers, 512),
    Target("headers", headers, lambda: [b"https://example.org\nexample.org\n10.0.0.1, 198.51.100.7"], 512),
    Target("SQL", statements, lambda: [b"SELECT 1", b"WITH x AS (SELECT 1) SELECT * FROM x -- y"], 512),
)

assert Signal in RECORDS


def mutated(seed: bytes, rng: random.Random, longest: int) -> bytes:
    """A hostile relative of a good input: bits flipped, parts cut, doubled, moved, overwritten with awkward numbers."""
    data = bytearray(seed[:longest])
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randint(1, 16))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case 3:
                data[at:end] = rng.choice(
                    (b"\xff" * 8, b"\x00" * 8, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\x7f\xf0")
                )
            case 4:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                del data[at:]
    return bytes(data[:longest])
