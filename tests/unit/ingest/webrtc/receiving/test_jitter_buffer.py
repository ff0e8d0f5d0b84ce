from ingest.webrtc.receiving import packets
from ingest.webrtc.receiving.jitter_buffer import AUDIO, MAX_FRAME_BYTES, VIDEO, JitterBuffer
from ingest.webrtc.receiving.packet_order import Lost
from tests.support.rtp import FRAME_TICKS, VP8_FIRST, VP8_NEXT, frames_of, packet, vp8_stream


def buffer():
    return JitterBuffer(packets.vp8, VIDEO)


def put_all(jitter, sent, now_us=0):
    return [event for each in sent for event in jitter.put(each, now_us)]


def test_a_frame_is_released_with_its_marker():
    jitter = buffer()
    (frame,) = vp8_stream([3])
    assert put_all(jitter, frame.packets[:2]) == []
    (out,) = jitter.put(frame.packets[2], 7)
    assert (out.data, out.timestamp, out.key, out.received_us) == (frame.data, 0, True, 0)
    assert not jitter.waiting


def test_without_markers_it_is_released_with_the_next_frame_or_after_a_wait():
    jitter = buffer()
    first, second = vp8_stream([2, 2], marks=False)
    assert put_all(jitter, first.packets) == []
    assert not jitter.waiting  # its marker may be on its way still
    assert [frame.data for frame in put_all(jitter, second.packets, 10)] == [first.data]
    assert jitter.waiting
    assert jitter.due(VIDEO.wait_us) == []
    assert [frame.data for frame in jitter.due(10 + VIDEO.wait_us)] == [second.data]
    assert not jitter.waiting


def test_markers_within_frames_are_trusted_once_only():
    jitter = buffer()
    frames = vp8_stream([2, 2, 2])
    sent = [each._replace(marker=True) for frame in frames for each in frame.packets]
    events = put_all(jitter, sent)
    # The first frame was cut short, and reported; from then on frames end where the next one begins.
    assert events[1] == Lost(0)
    assert [frame.data for frame in frames_of(events)[1:]] == [frames[1].data]
    assert jitter.waiting


def test_reordered_packets_make_whole_frames_by_the_marker():
    jitter = buffer()
    first, second = vp8_stream([3, 2])
    a, b, c = first.packets
    d, e = second.packets
    assert put_all(jitter, [a, c]) == []
    assert put_all(jitter, [e, d]) == []
    assert [frame.data for frame in put_all(jitter, [b])] == [first.data, second.data]


def test_a_frame_with_a_hole_is_reported_and_never_released():
    jitter = buffer()
    frames = vp8_stream([1, 3, 1, 1])
    lost = frames[1].packets[1]
    sent = [each for frame in frames for each in frame.packets if each is not lost]
    events = put_all(jitter, sent)
    assert [frame.data for frame in frames_of(events)] == [frames[0].data]
    events = jitter.due(VIDEO.wait_us)
    assert events[0] == Lost(1)
    assert [frame.data for frame in frames_of(events)] == [frames[2].data, frames[3].data]
    assert jitter.broken == 1


def test_a_loss_of_a_frames_end_and_the_next_ones_beginning_breaks_both():
    jitter = buffer()
    frames = vp8_stream([3, 3, 1])
    sent = [each for frame in frames for each in frame.packets]
    events = put_all(jitter, sent[:2] + sent[4:]) + jitter.due(VIDEO.wait_us)
    assert events[0] == Lost(2)
    assert [frame.data for frame in frames_of(events)] == [frames[2].data]


def test_what_begins_in_the_middle_of_a_frame_is_left_out():
    jitter = buffer()
    first, second = vp8_stream([3, 1])
    events = put_all(jitter, first.packets[1:] + second.packets)
    assert [frame.data for frame in frames_of(events)] == [second.data]


def test_padding_is_no_part_of_a_frame():
    jitter = buffer()
    (frame,) = vp8_stream([2])
    a, b = frame.packets
    padding = packet(1, 0, b"")
    assert [out.data for out in put_all(jitter, [a, padding, b._replace(sequence=2)])] == [frame.data]
    assert put_all(jitter, [packet(3, 0, b"")]) == []


def test_a_malformed_packet_spoils_its_frame_only():
    jitter = buffer()
    first, second = vp8_stream([3, 1])
    a, b, c = first.packets
    events = put_all(jitter, [a, b._replace(payload=b"\x00"), c, *second.packets])
    assert events[0] == Lost(0)
    assert [frame.data for frame in frames_of(events)] == [second.data]
    assert jitter.malformed == 1


def test_a_frame_without_end_is_given_up():
    jitter = buffer()
    size = 60_000
    count = MAX_FRAME_BYTES // size + 5
    sent = [packet(n, 0, (VP8_NEXT if n else VP8_FIRST) + b"\x00" * size) for n in range(count)]
    events = put_all(jitter, sent)
    assert events == [Lost(0)]
    assert frames_of(put_all(jitter, [packet(count, FRAME_TICKS, VP8_FIRST + b"\x00", marker=True)])) != []


def test_timestamps_are_unwrapped():
    jitter = buffer()
    frames = vp8_stream([1, 1], timestamp=(1 << 32) - FRAME_TICKS)
    first, second = frames_of(put_all(jitter, [each for frame in frames for each in frame.packets]))
    assert second.timestamp - first.timestamp == FRAME_TICKS
    assert jitter.unwrap(0) == second.timestamp
    assert jitter.unwrap((1 << 32) - FRAME_TICKS) == first.timestamp


def test_sound_is_released_packet_by_packet_whatever_the_markers():
    jitter = JitterBuffer(packets.whole, AUDIO)  # browsers mark the first packet of an utterance, if any
    for number, marker in enumerate((True, False, False, True)):
        (out,) = frames_of(jitter.put(packet(number, number * 960, bytes([number]), marker=marker), number))
        assert (out.data, out.timestamp, out.received_us) == (bytes([number]), number * 960, number)
        assert not jitter.waiting


def test_a_frame_that_comes_too_late_altogether_is_counted_once():
    jitter = buffer()
    first, second, third = vp8_stream([1, 2, 1])
    put_all(jitter, [*first.packets, *third.packets])
    assert jitter.due(VIDEO.wait_us)[0] == Lost(2)
    assert jitter.broken == 0
    assert put_all(jitter, second.packets, VIDEO.wait_us) == []
    assert jitter.broken == 1
    # What repeats a frame that was released is no loss.
    put_all(jitter, [*first.packets, *third.packets], VIDEO.wait_us)
    assert jitter.broken == 1
