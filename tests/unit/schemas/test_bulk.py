"""The bulk codec gives what fastavro gives, record by record. ``BULK_RECORDS=1000000`` runs a million."""

import os
from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

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
    FrameLayout,
    SignalBatch,
    SignalBatchReader,
    SignalLayouts,
    derive_layout,
)
from schemas.codec import Codec, Confluent, schema_text
from schemas.records import AvatarFrame, Signal
from tests.support.random_records import damaged, random_frame, random_signal
from tests.support.signals import START_US, face_signal, sample, speech_signal

RECORDS = int(os.environ.get("BULK_RECORDS", "5000"))
BATCH = 1_000
CODECS = [Codec(), Codec(Confluent(lambda _name, _text: 7, lambda _id: schema_text("Signal")))]
FRAME_CODECS = [Codec(), Codec(Confluent(lambda _name, _text: 7, lambda _id: schema_text("AvatarFrame")))]


def bits(values: npt.ArrayLike) -> bytes:
    """Floats bit by bit, but every NaN alike: as a Python float, a signalling one becomes a quiet one."""
    floats = np.array(values, "<f4")
    floats[np.isnan(floats)] = np.nan
    return floats.tobytes()


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
            out.append((kind, batch.stamps[i].tolist(), int(batch.sequence[i]), batch.sessions[i], bits(values)))
    return out


@pytest.mark.parametrize("codec", CODECS, ids=["single-object", "confluent"])
def test_many_read_at_once_are_what_fastavro_reads_one_by_one(codec: Codec) -> None:
    rng = Random(3)
    reader = SignalBatchReader(codec)
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
    batch = SignalBatchReader(codec).read(values)
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
    assert np.isnan(SignalBatchReader(codec).read(values).faces[:, 1:8]).all()


def test_derived_layouts_end_where_the_variable_fields_begin() -> None:
    codec = Codec()
    face = derive_layout("Signal", codec.prefix(Signal), "FaceSignal")
    assert face.dtype.names is not None
    assert face.dtype.names[-1] == "degraded"
    assert face.instants == slice(10, 50)
    value = codec.encode(sample("ab", START_US, 1, face_signal(0.0, Random(0))))
    # face_count, track_id, sequence: one byte each; the session, its source, their lengths
    assert face.dtype.itemsize == len(value) - 3 - 3 - len("face@1") - 1


@pytest.mark.parametrize("codec", FRAME_CODECS, ids=["single-object", "confluent"])
def test_frames_read_at_once_are_what_fastavro_reads(codec: Codec) -> None:
    """What fits is read with the same values; what does not is named, and everything unreadable is among it."""
    rng = Random(5)
    layout = FrameLayout(codec)
    bulk = 0
    for _ in range(0, RECORDS, BATCH):
        values: list[bytes | None] = [codec.encode(random_frame(rng)) for _ in range(BATCH)]
        values = [damaged(v, rng) if v is not None and rng.random() < 0.1 else v for v in values]
        values[rng.randrange(BATCH)] = None
        found, others = layout.read(values)
        assert sorted([*found.index.tolist(), *others]) == list(range(BATCH))
        for n, i in enumerate(found.index.tolist()):
            frame = codec.decode(AvatarFrame, values[i])
            row = found.record[n]
            assert (found.instants[n, 0], found.integers[0][n]) == (frame.captured_at_us, frame.sequence)
            assert found.texts[0][n].decode() == frame.session_id
            for name in ("face_hops_ms", "speech_hops_ms"):
                assert bits(row[name]) == bits(getattr(frame, name))
            for name in ("emotions", "affect", "levels", "aus", "angles", "blendshapes", "visemes"):
                assert row[name].tobytes() == getattr(frame, name)
            for name in ("discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait"):
                assert bool(row[name]) == getattr(frame, name)
            assert layout.mappings[row["mapping"] >> 1] == frame.mapping
        bulk += len(found.index)
    assert bulk > RECORDS * 0.4


def test_nothing_at_all_is_read_as_nothing() -> None:
    found, others = FrameLayout(Codec()).read([])
    faces, speeches, rest = SignalLayouts(Codec()).read([None, b""])
    assert (len(found.index), others, len(faces.index), len(speeches.index), rest) == (0, [], 0, 0, [0, 1])
