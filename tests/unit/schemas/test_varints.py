import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.varints import instant, read_instants, read_varints, varint

INT64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(1_500_000_000_000_000, 2_500_000_000_000_000)


def zigzag(value: int) -> bytes:
    """A varint as the Avro specification describes it."""
    rest, out = (value << 1) ^ (value >> 63), bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


@given(st.lists(INT64, min_size=1))
def test_instants_are_read_and_say_when_they_do_not_fit(values: list[int]) -> None:
    written = [zigzag(value) for value in values]
    raw = np.frombuffer(b"".join(w[:8].ljust(8, b"\0") for w in written), "<u8")
    back, eight = read_instants(raw)
    assert eight.tolist() == [len(w) == 8 for w in written]
    assert [instant(int(one)) for one in raw] == [
        v if fits and v >= 0 else None for v, fits in zip(back.tolist(), eight.tolist(), strict=True)
    ]
    assert back[eight].tolist() == [v for v, w in zip(values, written, strict=True) if len(w) == 8]


@given(st.lists(st.integers(-(1 << 61), (1 << 61) - 1), min_size=1))
def test_varints_are_read(values: list[int]) -> None:
    written = [zigzag(value) for value in values]
    ends = np.cumsum([len(w) for w in written])
    data = np.frombuffer(b"".join(written) + bytes(10), np.uint8)
    back, at, good = read_varints(data, np.concatenate(([0], ends[:-1])), ends)
    assert back.tolist() == values
    assert at.tolist() == ends.tolist()
    assert good.all()
    assert [varint(value) for value in values if value >= 0] == [zigzag(value) for value in values if value >= 0]
