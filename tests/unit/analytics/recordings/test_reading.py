import io
import json
import random
from collections import Counter

import fastavro
import pytest
from backports import zstd

from analytics.recordings.container import HEADER_KEY, PARSED, SUMMARY, Digest, Entry, Header, RecordingError, Summary
from analytics.recordings.reading import MAX_BLOCK_BYTES, open_recording
from tests.support.recordings import write_recording

ENTRIES = [Entry("signals", n % 2, n, n, f"s{n % 3}", random.Random(n).randbytes(100)) for n in range(60)]
HEADER = Header("test", 0, [], [])
HEADER_TEXT = HEADER.to_json().decode()
FIELDS = [field["name"] for field in PARSED["fields"]]


@pytest.fixture
def good(tmp_path):
    return write_recording(tmp_path / "good.afr", ENTRIES, HEADER)


def read(path, data):
    path.write_bytes(data)
    return list(open_recording(path).entries())


def container(entries, *, header=HEADER_TEXT, schema=PARSED, codec="zstandard"):
    out = io.BytesIO()
    metadata = {} if header is None else {HEADER_KEY: header}
    fastavro.writer(out, schema, entries, codec=codec, metadata=metadata)
    return out.getvalue()


def plain(*entries):
    return [{name: getattr(entry, name) for name in FIELDS} for entry in entries]


def ended(*entries, header=HEADER_TEXT, counts=None):
    """The entries and the end that belongs to them."""
    digest = Digest(header.encode())
    for entry in entries:
        digest.add(entry)
    counts = counts or dict(Counter(entry.topic for entry in entries))
    summary = Summary(sum(counts.values()), counts, digest.hex())
    return [*plain(*entries), *plain(Entry(SUMMARY, 0, 0, 0, "", summary.to_json()))]


def test_wherever_it_is_cut_it_is_refused(good, tmp_path):
    whole = good.read_bytes()
    rng = random.Random(1)
    for end in {0, 1, 4, 5, len(whole) - 1, len(whole) - 16, len(whole) - 17, *rng.sample(range(len(whole)), 80)}:
        with pytest.raises(RecordingError):
            read(tmp_path / "cut.afr", whole[:end])


def test_whatever_bit_is_altered_nothing_but_an_error_or_the_same_comes(good, tmp_path):
    whole, rng = good.read_bytes(), random.Random(2)
    for _ in range(150):
        at = rng.randrange(len(whole))
        altered = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        try:
            found = read(tmp_path / "altered.afr", altered)
        except RecordingError:
            continue
        assert found == ENTRIES


def test_bytes_of_chance_are_refused(tmp_path):
    rng = random.Random(3)
    for size in (0, 3, 40, 4_000):
        for prefix in (b"", b"Obj\x01"):
            with pytest.raises(RecordingError):
                read(tmp_path / "noise.afr", prefix + rng.randbytes(size))


def test_a_cut_between_blocks_is_noticed(tmp_path):
    with pytest.raises(RecordingError, match=r"was cut: it ends after 60 records"):
        read(tmp_path / "a.afr", container(plain(*ENTRIES)))


def test_missing_records_are_noticed(tmp_path):
    with pytest.raises(RecordingError, match="records are missing: its end counts signals: 61; there are signals: 60"):
        read(tmp_path / "a.afr", container(ended(*ENTRIES, counts={"signals": 61})))


def test_an_altered_record_or_header_is_noticed(tmp_path):
    whole = ended(*ENTRIES)
    with pytest.raises(RecordingError, match="was altered"):
        read(tmp_path / "a.afr", container([{**whole[0], "value": b"another"}, *whole[1:]]))
    with pytest.raises(RecordingError, match="was altered"):
        read(tmp_path / "a.afr", container(whole, header=HEADER_TEXT.replace("test", "best")))


def test_nothing_may_stand_behind_the_end(tmp_path):
    with pytest.raises(RecordingError, match="behind the end"):
        read(tmp_path / "a.afr", container([*ended(ENTRIES[0]), *plain(ENTRIES[2])]))
    with pytest.raises(RecordingError, match="behind the end"):
        read(tmp_path / "a.afr", container(ended(ENTRIES[0])) + b"x")


def test_other_avro_files_are_no_recordings(tmp_path):
    other = fastavro.parse_schema({"type": "record", "name": "X", "fields": [{"name": "a", "type": "int"}]})
    for data, said in (
        (container([{"a": 1}], schema=other), "another schema"),
        (container([], header=None), "lacks affectstream.header"),
        (container([], codec="deflate"), "'deflate'"),
        (container([], header="{}"), "header cannot be read"),
    ):
        with pytest.raises(RecordingError, match=said):
            read(tmp_path / "a.afr", data)


def test_unknown_topics_and_offsets_out_of_order_are_refused(tmp_path):
    strange = Entry("secrets", 0, 0, 0, "s", b"")
    with pytest.raises(RecordingError, match="topic 'secrets' is not known"):
        read(tmp_path / "a.afr", container(ended(strange)))
    with pytest.raises(RecordingError, match=r"offset 0 of signals\[0\] is out of order"):
        read(tmp_path / "a.afr", container(ended(ENTRIES[2], ENTRIES[0])))
    with pytest.raises(RecordingError, match=r"offset -1 of signals\[0\]"):
        read(tmp_path / "a.afr", container(ended(Entry("signals", 0, -1, 0, "s", b""))))


def test_media_that_the_header_does_not_mention_is_refused(tmp_path):
    picture = Entry("media.video", 0, 0, 0, "s", b"jpeg")
    data = container(ended(picture))
    with pytest.raises(RecordingError, match="although its header says that none"):
        read(tmp_path / "a.afr", data)
    header = json.dumps({**json.loads(HEADER.to_json()), "media": True})
    assert read(tmp_path / "a.afr", container(ended(picture, header=header), header=header)) == [picture]


def test_a_bomb_is_not_unpacked(good, tmp_path):
    recording = open_recording(good)
    bomb = zstd.compress(bytes(MAX_BLOCK_BYTES + 1))
    head = good.read_bytes()[: recording.begin]
    varint = bytearray()
    rest = len(bomb) << 1
    while rest >= 0x80:
        varint.append(rest & 0x7F | 0x80)
        rest >>= 7
    varint.append(rest)
    with pytest.raises(RecordingError, match="larger than"):
        read(tmp_path / "bomb.afr", head + b"\x02" + bytes(varint) + bomb + recording.sync)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"none\.afr cannot be read: No such file"):
        open_recording(tmp_path / "none.afr")
    with pytest.raises(RecordingError, match="cannot be read: Is a directory"):
        open_recording(tmp_path)
