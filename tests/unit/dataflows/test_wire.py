"""Compiled reading and writing give what the bulk codec and fastavro give, record by record."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from dataflows import layout
from dataflows.layout import FRAMES
from dataflows.roster import Names
from dataflows.wire import FrameEncoder, SignalDecoder
from schemas.bulk import FACE, SPEECH, SignalBatch, SignalBatchReader
from schemas.codec import Codec
from schemas.records import AvatarFrame
from tests.support.signals import START_US
from tests.unit.schemas.test_bulk import CODECS, damaged, random_signal

BATCH = 500


def assert_equal(read: tuple[SignalBatch, Names], expected: SignalBatch) -> None:
    found, names = read
    ends = [0, *names.ends.tolist()]
    assert [names.data[a:b].tobytes() for a, b in pairwise(ends)] == expected.sessions
    for name in ("kind", "stamps", "sequence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.sessions == expected.sessions
    assert found.lifecycle == expected.lifecycle
    assert found.errors == expected.errors
    for i, kind in enumerate(expected.kind):
        if kind in {FACE, SPEECH}:
            name = "faces" if kind == FACE else "speeches"
            mine, theirs = (getattr(batch, name)[batch.place[i]] for batch in (found, expected))
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("codec", CODECS, ids=["plain", "registry"])
@pytest.mark.parametrize("seed", range(4))
def test_reads_what_the_bulk_codec_reads(codec: Codec, seed: int) -> None:
    rng = Random(seed)
    values: list[bytes | None] = [codec.encode(random_signal(rng)) for _ in range(BATCH)]
    for i in range(0, BATCH, 7):
        values[i] = damaged(values[i] or b"", rng)
    values[11] = None
    values[12] = b""
    decoder = SignalDecoder(codec)
    expected = SignalBatchReader(codec).read(values)
    keys = list(expected.sessions)
    assert_equal(decoder.read(values, keys), expected)
    assert_equal(decoder.read(values[:5], keys[:5]), SignalBatchReader(codec).read(values[:5]))
    assert decoder.read([], [])[0].sessions == []


@pytest.mark.parametrize("seed", range(4))
def test_a_signal_is_of_the_session_that_it_names_whatever_its_key(seed: int) -> None:
    rng, codec = Random(seed), Codec()
    values = [codec.encode(random_signal(rng)) for _ in range(BATCH)]
    expected = SignalBatchReader(codec).read(values)
    wrong = (bytes.lower, bytes.upper, bytes.title, lambda key: key + b"x", lambda key: key[:-1], bytes)
    keys = [rng.choice(wrong)(key) for key in expected.sessions]
    assert_equal(SignalDecoder(codec).read(values, keys), expected)


def test_writes_what_fastavro_writes() -> None:
    codec = Codec()
    rng = np.random.default_rng(5)
    output = layout.new_output(64)
    for name in output._fields:
        array = getattr(output, name)
        array[...] = np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape)
    output.hops[np.isnan(output.hops)] = np.nan  # of which there are many, and fastavro writes but one
    output.flags[:] &= 1
    output.used[FRAMES] = count = 60
    output.tick[:] = np.arange(64) ** 6
    output.tick_us[:] = rng.integers(0, layout.LATEST_US, 64)
    output.tick_us[:4] = [0, 63, START_US, layout.LATEST_US - 1]
    records = [b"s" * i for i in range(70)]
    output.record[:] = rng.integers(0, len(records), 64)
    sessions = [records[i] for i in output.record[:count].tolist()]
    values = FrameEncoder(codec).write(output, Names.of(records))
    for i, (value, session) in enumerate(zip(values, sessions, strict=True)):
        frame = codec.decode(AvatarFrame, value)
        assert codec.encode(frame) == value
        assert (frame.session_id, frame.sequence) == (session.decode(), output.tick[i])
        assert frame.captured_at_us == output.tick_us[i]
        for name in ("emotions", "levels", "aus", "blendshapes", "visemes", "affect", "angles"):
            assert getattr(frame, name) == getattr(output, name)[i].tobytes()
        np.testing.assert_array_equal(np.float32(frame.face_hops_ms), output.hops[i, layout.FACE])
        np.testing.assert_array_equal(np.float32(frame.speech_hops_ms), output.hops[i, layout.SPEECH])
        flags = (frame.discontinuity, frame.face_live, frame.speech_live, frame.viseme_mouth, frame.closed_by_max_wait)
        assert flags == tuple(output.flags[i, : len(flags)].astype(bool))
        assert frame.mapping == layout.MAPPINGS[output.flags[i, layout.FLAG_MAPPING]]
