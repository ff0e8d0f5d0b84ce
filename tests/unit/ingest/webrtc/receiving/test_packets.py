import pytest

from ingest.webrtc.receiving import packets
from ingest.webrtc.receiving.packets import PacketError
from tests.support.rtp import wire


def test_a_plain_packet():
    found = packets.parse(wire(65_535, 4_000_000_000, b"payload", marker=True, ssrc=7, payload_type=101))
    assert found == (True, 101, 65_535, 4_000_000_000, 7, b"payload", b"", 0)


def test_sources_extension_and_padding_are_taken_off():
    rest = b"\0\0\0\1\0\0\0\2" + b"\xbe\xde\0\1" + b"\x32abc"
    found = packets.parse(wire(1, 2, b"payload" + b"\0\0\3", first=0x80 | 0x20 | 0x10 | 2, rest=rest))
    assert found.payload == b"payload"
    assert packets.extension(found, 3) == b"abc"
    assert packets.extension(found, 4) is None


def test_two_byte_extensions():
    rest = b"\x10\0\0\2" + b"\0\x05\x03xyz\x06\x00"
    found = packets.parse(wire(1, 2, b"p", first=0x90, rest=rest))
    assert packets.extension(found, 5) == b"xyz"
    assert packets.extension(found, 6) == b""


@pytest.mark.parametrize("elements", [b"\x3fab\0", b"\x3f\0\0\0", b"\xf0a\x31b"])
def test_an_extension_that_is_cut_off_is_absent(elements):
    found = packets.parse(wire(1, 2, b"p", first=0x90, rest=b"\xbe\xde\0\1" + elements))
    assert packets.extension(found, 3) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        wire(1, 2, b"", first=0x40),
        wire(1, 2, b"", first=0x90, rest=b"\xbe\xde"),
        wire(1, 2, b"", first=0x90, rest=b"\xbe\xde\0\2abcd"),
        wire(1, 2, b"", first=0x8F),
        wire(1, 2, b"ab\4", first=0xA0),
        wire(1, 2, b"ab\0", first=0xA0),
    ],
)
def test_what_is_no_packet_is_refused(data):
    with pytest.raises(PacketError):
        packets.parse(data)


@pytest.mark.parametrize(
    "descriptor, starts",
    [
        (b"\x10", True),
        (b"\x00", False),
        (b"\x11", False),  # the start of partition 1 is within the frame
        (b"\x90\x80\x7f", True),  # picture id, one byte
        (b"\x90\x80\xff\xff", True),  # two
        (b"\x90\xf0\x80\x01\x05\x60", True),  # picture id, base layer index, layer and key index
    ],
)
def test_vp8_descriptors(descriptor, starts):
    key = packets.vp8(descriptor + b"\x00rest")
    assert key == (b"\x00rest", starts, starts)
    assert packets.vp8(descriptor + b"\x01rest").key is False


@pytest.mark.parametrize("payload", [b"", b"\x10", b"\x90\x80", b"\x90\x80\xff\xff", b"\x90\xf0\x80\x01\x05\x60"])
def test_vp8_without_data_is_refused(payload):
    with pytest.raises(PacketError):
        packets.vp8(payload)


def test_h264_units():
    assert packets.h264(b"\x67abc") == (b"\0\0\0\1\x67abc", True, True)
    assert packets.h264(b"\x65\x88a") == (b"\0\0\0\1\x65\x88a", True, True)
    assert packets.h264(b"\x41\x9aa") == (b"\0\0\0\1\x41\x9aa", True, False)
    # a slice that does not begin with macroblock 0 is within a picture
    assert packets.h264(b"\x41\x1aa").starts is False


def test_h264_aggregates_and_fragments():
    together = packets.h264(b"\x78" + b"\0\3\x67ab" + b"\0\2\x68c")
    assert together == (b"\0\0\0\1\x67ab\0\0\0\1\x68c", True, True)
    assert packets.h264(b"\x7c\x85\x88a") == (b"\0\0\0\1\x65\x88a", True, True)
    assert packets.h264(b"\x7c\x05bc") == (b"bc", False, False)
    assert packets.h264(b"\x7c\x45de") == (b"de", False, False)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x67", b"\x7c\x85", b"\x00ab", b"\x79ab", b"\x78\0", b"\x78\0\3\x67", b"\x78\0\0", b"\x78\0\1\x67"],
)
def test_h264_that_cannot_be_used_is_refused(payload):
    with pytest.raises(PacketError):
        packets.h264(payload)
