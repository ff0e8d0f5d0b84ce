"""The bulk codec gives what fastavro gives, record by record. ``BULK_RECORDS=1000000`` runs a million."""

import os
import struct
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bulk import (
    BULK_FROM,
    FACE,
    FACE_COLUMNS,
    FACE_WIDTH,
    LIFECYCLE,
    SPEECH,
    SPEECH_COLUMNS,
    SPEECH_WIDTH,
    UNREADABLE,
    FrameBatch,
    FrameWriter,
    SignalBatch,
    SignalReader,
    derive_layout,
    read_instants,
    read_varints,
    varint,
    write_instants,
    write_varints,
)
from schemas.codec import Codec, Confluent, schema_text
from schemas.records import FaceSignal, Signal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES
from tests.support.signals import START_US, ended, face_signal, sample, speech_signal, started

RECORDS = int(os.environ.get("BULK_RECORDS", "5000"))
BATCH = 1_000
CODECS = [Codec(), Codec(Confluent(lambda _name, _text: 7, lambda _id: schema_text("Signal")))]
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def random_signal(rng: Random) -> Signal:
    """A signal of any kind whose every number is anything that its field can hold."""

    def floats(count: int) -> tuple[float, ...]:
        return struct.unpack(f"<{count}f", rng.randbytes(4 * count))

    def one() -> float:
        return floats(1)[0]

    def length(usual: int) -> int:
        return usual if rng.random() < 0.97 else rng.randrange(80)

    def long() -> int:
        return rng.choice([rng.randrange(1 << rng.randrange(1, 63)), -rng.randrange(1 << rng.randrange(1, 63))])

    at = [rng.randrange(START_US, 2 * START_US) if rng.random() < 0.98 else long() for _ in range(5)]
    kind = rng.random()
    if kind < 0.48:
        payload: FaceSignal | SpeechSignal = FaceSignal(
            rng.random() < 0.5, one(), floats(length(7)), one(), one(), one(), floats(length(len(AUS))),
            floats(length(len(BLENDSHAPES))), one(), one(), one(), one(), one(), one(), one(), floats(length(4)),
            rng.random() < 0.5, rng.randrange(-5, 300), rng.randrange(-5, 1 << 31),
        )  # fmt: skip
    elif kind < 0.96:
        payload = SpeechSignal(
            one(), one(), floats(length(7)), one(), one(), one(), one(), one(), one(), floats(length(15)), one(),
            rng.random() < 0.5,
        )  # fmt: skip
    else:
        return rng.choice([started, ended])(f"s{rng.randrange(100)}", at[0])
    sequence = rng.randrange(1 << rng.randrange(1, 40)) if rng.random() < 0.97 else long()
    text = rng.choice(["ses-", "é", "日本", "", "x" * 70]) + str(rng.randrange(1000))
    return Signal(*at, payload, sequence, text, rng.choice(["face@1", "über", "", "y" * 200]))


def damaged(value: bytes, rng: Random) -> bytes:
    choice = rng.randrange(4)
    if choice == 0:
        return value[: rng.randrange(len(value) + 1)]
    if choice == 1:
        return value + rng.randbytes(rng.randrange(1, 5))
    at = rng.randrange(len(value))
    return value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :]


def unpacked(batch: SignalBatch) -> list[object]:
    """What a batch says of each record, comparable bit by bit."""
    out: list[object] = []
    for i, kind in enumerate(batch.kind.tolist()):
        if kind == UNREADABLE:
            out.append(kind)
        elif kind == LIFECYCLE:
            out.append((kind, repr(batch.lifecycle[i])))
        else:
            values = (batch.faces if kind == FACE else batch.speeches)[batch.place[i]]
            out.append((kind, batch.stamps[i].tolist(), int(batch.sequence[i]), batch.sessions[i], values.tobytes()))
    return out


@pytest.mark.parametrize("codec", CODECS, ids=["single-object", "confluent"])
def test_many_read_at_once_are_what_fastavro_reads_one_by_one(codec: Codec) -> None:
    rng = Random(3)
    reader = SignalReader(codec)
    bulk = 0
    for _ in range(0, RECORDS, BATCH):
        values: list[bytes | None] = [codec.encode(random_signal(rng)) for _ in range(BATCH)]
        values = [damaged(v, rng) if v is not None and rng.random() < 0.05 else v for v in values]
        values[rng.randrange(BATCH)] = None
        together = reader.read(values)
        alone = [entry for value in values for entry in unpacked(reader.read([value]))]
        assert unpacked(together) == alone
        assert set(together.errors) == set(np.flatnonzero(together.kind == UNREADABLE).tolist())
        bulk += sum(kind in {FACE, SPEECH} for kind in together.kind.tolist())
    assert bulk > RECORDS * 0.8


def test_columns_are_the_fields_in_their_order() -> None:
    rng = Random(0)
    face, speech = face_signal(1.0, rng), speech_signal(1.0, rng)
    codec = Codec()
    values = [codec.encode(sample("s", START_US, n, p)) for n in range(BULK_FROM) for p in (face, speech)]
    batch = SignalReader(codec).read(values)
    for payload, columns, row, width in (
        (face, FACE_COLUMNS, batch.faces[0], FACE_WIDTH),
        (speech, SPEECH_COLUMNS, batch.speeches[0], SPEECH_WIDTH),
    ):
        flat: list[float] = []
        for name in columns:
            value = getattr(payload, name)
            flat += value if isinstance(value, tuple) else [value]
        assert row.tolist() == np.array(flat, np.float32).tolist()
        assert len(row) == width


def test_a_vector_of_the_wrong_length_reads_as_nan() -> None:
    codec, rng = Codec(), Random(0)
    short = replace(face_signal(1.0, rng), emotion_scores=())
    values = [codec.encode(sample("s", START_US, n, short)) for n in range(BULK_FROM)]
    assert np.isnan(SignalReader(codec).read(values).faces[:, 1:8]).all()


def test_derived_layouts_end_where_the_variable_fields_begin() -> None:
    codec = Codec()
    face = derive_layout("Signal", codec.prefix(Signal), "FaceSignal")
    assert face.dtype.names is not None
    assert face.dtype.names[-1] == "degraded"
    assert face.instants == slice(10, 50)
    value = codec.encode(sample("ab", START_US, 1, face_signal(0.0, Random(0))))
    # face_count, track_id, sequence: one byte each; the session, its source, their lengths
    assert face.dtype.itemsize == len(value) - 3 - 3 - len("face@1") - 1


@given(st.lists(INT64, min_size=1))
def test_instants_survive_and_say_when_they_do_not_fit(values: list[int]) -> None:
    array = np.array(values, np.int64)
    raw, fits = write_instants(array)
    back, eight = read_instants(raw)
    assert (back[fits] == array[fits]).all()
    assert eight[fits].all()
    zigzags = [(value << 1) ^ (value >> 63) for value in values]
    assert fits.tolist() == [1 << 49 <= zigzag < 1 << 56 for zigzag in zigzags]


@given(st.lists(st.integers(0, (1 << 62) - 1), min_size=1))
def test_varints_survive(values: list[int]) -> None:
    raw, lengths = write_varints(np.array(values, np.int64))
    written = [row[:length].tobytes() for row, length in zip(raw, lengths, strict=True)]
    assert written == [varint(value) for value in values]
    joined = b"".join(written)
    ends = np.cumsum(lengths)
    data = np.frombuffer(joined + bytes(10), np.uint8)
    back, at, good = read_varints(data, ends - lengths, ends)
    assert back.tolist() == values
    assert at.tolist() == ends.tolist()
    assert good.all()


def test_frames_written_at_once_are_what_fastavro_writes() -> None:
    rng = np.random.default_rng(5)
    codec = Codec()
    writer = FrameWriter(codec)
    for _ in range(0, RECORDS, BATCH):
        integers = lambda high, *shape: rng.integers(0, high, (BATCH, *shape)).astype(np.uint8)  # noqa: E731
        instants = rng.integers(START_US, 2 * START_US, BATCH)
        instants[::97] = rng.integers(-(1 << 62), 1 << 62, len(instants[::97]))
        sequence = rng.integers(0, 1 << rng.integers(1, 40), BATCH)
        sequence[::89] = rng.integers(-(1 << 62), 1 << 61, len(sequence[::89]))
        hops = rng.integers(0, 256, (BATCH, 2, 20)).astype(np.uint8).view(np.float32)
        hops[np.isnan(hops)] = np.nan
        batch = FrameBatch(
            captured_at_us=instants, face_hops_ms=hops[:, 0], speech_hops_ms=hops[:, 1], emotions=integers(256, 7),
            affect=rng.integers(-10_000, 10_001, (BATCH, 5)).astype(np.int16), levels=integers(256, 8),
            aus=integers(256, 20), angles=rng.integers(-32_768, 32_768, (BATCH, 8)).astype(np.int16),
            blendshapes=integers(256, 52), visemes=integers(256, 15), discontinuity=integers(2), face_live=integers(2),
            speech_live=integers(2), viseme_mouth=integers(2), closed_by_max_wait=integers(2), mapping=integers(3),
            sequence=sequence, sessions=[f"sé{n}".encode() for n in rng.integers(0, 50, BATCH).tolist()],
        )  # fmt: skip
        values = writer.write(batch)
        assert values == [codec.encode(writer.record(batch, i)) for i in range(BATCH)]
