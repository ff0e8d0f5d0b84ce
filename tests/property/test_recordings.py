"""Laws of recordings: what is written is read; comparing is reflexive and symmetric."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.recordings.container import Entry
from analytics.recordings.diffing import compare
from analytics.recordings.frames import Frames
from analytics.recordings.reading import open_recording
from schemas.codec import Codec
from schemas.topics import SIGNALS
from tests.support.frames import avatar_frame
from tests.support.recordings import write_recording

CODEC = Codec()
LONGS = st.integers(-(2**63), 2**63 - 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), LONGS, st.text(max_size=20), st.binary(max_size=2_000)), max_size=40
    )
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(drawn: list[tuple[int, int, str, bytes]]) -> None:
    entries = [
        Entry(SIGNALS, partition, n, published_ms, session, value)
        for n, (partition, published_ms, session, value) in enumerate(drawn)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write_recording(Path(folder) / "a.afr", entries)
        assert list(open_recording(path).entries()) == entries


frames = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 5)), st.binary(min_size=52, max_size=52), max_size=8
).map(
    lambda drawn: Frames(
        {key: CODEC.encode(replace(avatar_frame(*key), blendshapes=shapes)) for key, shapes in drawn.items()}
    )
)


@given(frames, frames)
@settings(max_examples=60, deadline=None)
def test_comparing_is_reflexive_and_symmetric(a: Frames, b: Frames) -> None:
    assert compare(a, a).identical
    there, back = compare(a, b), compare(b, a)
    assert there.identical == back.identical == (dict(a.values) == dict(b.values))
    assert (there.only_in_a, there.only_in_b) == (back.only_in_b, back.only_in_a)
    assert there.channels == back.channels
    assert (there.first is None) == there.identical
    if there.first is not None:
        assert back.first is not None
        assert (there.first.session, there.first.sequence) == (back.first.session, back.first.sequence)
        assert (there.first.a, there.first.b) == (back.first.b, back.first.a)
