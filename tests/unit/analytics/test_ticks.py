import numpy as np
import pyarrow as pa

from analytics.columns import TableBuilder, Taken
from analytics.ticks import FLAG_COLUMNS, POSE_COLUMNS, of_frames, stream
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES
from tests.support.session_records import START_US, frame

CODEC = Codec()


def rows(*ks: int) -> pa.Table:
    frames = [CODEC.encode(frame("s", k)) for k in ks]
    count = len(frames)
    taken = Taken(frames, np.zeros(count, np.int32), np.arange(count), np.zeros(count, np.int64))
    return TableBuilder(CODEC).build(AVATAR_FRAMES, taken, name="t", topic_id="i").tables["avatar_frames"]


def test_ticks_of_frames_are_their_integers_in_order():
    ticks = of_frames(rows(3, 1, 2))
    assert ticks.column_names == ["sequence", "at_us", *FLAG_COLUMNS, *POSE_COLUMNS]
    assert ticks["sequence"].to_pylist() == [1, 2, 3]
    assert ticks["at_us"].to_pylist()[0] == START_US + 1_000_000 // 30
    assert ticks["mouthSmileLeft"].to_pylist() == [frame("s", k).blendshapes[43] for k in (1, 2, 3)]
    assert ticks["viseme_mouth"].type == pa.uint8()


def test_a_stream_carries_its_metadata_and_is_not_compressed():
    data = stream(of_frames(rows(*range(50))), {"first": "0"})
    with pa.ipc.open_stream(data) as reader:
        table = reader.read_all()
    assert table.schema.metadata == {b"first": b"0"}
    assert table.num_rows == 50
    # A browser reads columns where they lie: at least a byte a value.
    assert len(data) > 50 * len(POSE_COLUMNS)
