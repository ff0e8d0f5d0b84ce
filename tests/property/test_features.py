"""Whatever bytes come as features: they are refused with a reason, or become a signal that fusion takes."""

import random
import struct
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflows.alignment import is_valid
from dataflows.layout import FACE, SPEECH
from ingest.admission import Refused
from ingest.features import HOP_US, Features, FeatureWriter, HopGrid, read_face, read_speech
from schemas.bulk import SignalBatchReader
from schemas.codec import Codec
from schemas.features import FACE_BYTES, FACE_FLOATS, SPEECH_BYTES, SPEECH_FLOATS, face_payload, speech_payload
from schemas.records import Signal
from schemas.vocabulary import Outcome
from tests.support.signals import face_signal, speech_signal

T = 1_800_000_000_000_000
CODEC = Codec()
WRITER = FeatureWriter(CODEC)
READER = SignalBatchReader(CODEC)

FACE_BASE = face_payload(face_signal(1.0, random.Random(1)), engine="engine@1", inference_us=1_000)
SPEECH_BASE = speech_payload(speech_signal(1.0, random.Random(1)), engine="engine@1", inference_us=1_000)

anything = st.binary(max_size=FACE_BYTES + 64)
edits = st.lists(st.tuples(st.integers(0, FACE_BYTES + 8), st.integers(0, 255)), min_size=1, max_size=6)
floats = st.lists(st.tuples(st.integers(0, FACE_FLOATS - 1), st.floats(width=32)), min_size=1, max_size=4)


def attempt(read: Callable[[bytes], Features], payload: bytes) -> Features | Refused:
    """What comes of it; anything but Refused is a fault."""
    try:
        return read(payload)
    except Refused as refused:
        return refused


def check(payload: bytes) -> None:
    """The law."""
    for read, modality in ((read_face, FACE), (read_speech, SPEECH)):
        features = attempt(read, payload)
        if isinstance(features, Refused):
            assert features.outcome in {Outcome.MALFORMED, Outcome.UNSUPPORTED}
            assert str(features)
            continue
        value = WRITER.write(
            features,
            session_id="s",
            sequence=9,
            captured_us=T,
            received_us=T + 1,
            inferred_us=T + 1,
            ingested_us=T + 2,
        )
        signal = CODEC.decode(Signal, value)
        assert CODEC.encode(signal) == value
        assert signal.source.startswith("client:")
        batch = READER.read([value] * 8)
        values = (batch.faces if modality == FACE else batch.speeches)[batch.place[0]]
        assert is_valid(modality, batch.stamps[0], batch.sequence[0], values)


@given(anything)
@settings(deadline=None, max_examples=300)
@example(bytes(FACE_BYTES))
@example(b"\xff" * (FACE_BYTES + 20))
def test_any_bytes(payload):
    check(payload)


@given(st.sampled_from([FACE_BASE, SPEECH_BASE]), edits)
@settings(deadline=None, max_examples=500)
def test_right_messages_with_some_bytes_changed(base, changes):
    payload = bytearray(base)
    for at, value in changes:
        payload[at % len(payload)] = value
    check(bytes(payload))


@given(floats)
@settings(deadline=None, max_examples=500)
def test_right_messages_with_some_numbers_changed(changes):
    face, speech = bytearray(FACE_BASE), bytearray(SPEECH_BASE)
    for at, value in changes:
        struct.pack_into("<f", face, FACE_BYTES - 4 * FACE_FLOATS + 4 * at, value)
        struct.pack_into("<f", speech, SPEECH_BYTES - 4 * SPEECH_FLOATS + 4 * (at % SPEECH_FLOATS), value)
    check(bytes(face))
    check(bytes(speech))


@given(st.lists(st.integers(0, 100 * HOP_US), max_size=60))
@settings(deadline=None)
def test_places_rise_strictly_and_lie_within_a_hop_of_the_end(ends):
    grid, last = HopGrid(), -1
    for end in ends:
        place = grid.place(T + end)
        if place is not None:
            assert place > last
            assert abs(place * HOP_US - (T + end)) <= HOP_US
            last = place
