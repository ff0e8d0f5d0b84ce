import av
import numpy as np
import pytest

from ingest.webrtc.receiving.pictures import DecodeError
from ingest.webrtc.receiving.sound import Chunker, SoundDecoder

MS = 32
"""Bytes of a millisecond."""


def tone(rate, seconds=0.4, hz=440):
    return (np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate) * 8_000).astype(np.int16)


def encoded(name, rate, samples):
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    packets = []
    for number in range(0, len(samples), rate // 50):
        part = av.AudioFrame.from_ndarray(samples[number : number + rate // 50].reshape(1, -1), "s16", "mono")
        part.sample_rate, part.pts = rate, number
        packets += [bytes(packet) for packet in encoder.encode(part)]
    return packets


@pytest.mark.parametrize(
    "codec, encoder, rate",
    [("opus", "libopus", 48_000), ("PCMU", "pcm_mulaw", 8_000), ("PCMA", "pcm_alaw", 8_000), ("G722", "g722", 16_000)],
)
def test_a_tone_comes_out_at_16_khz(codec, encoder, rate):
    decoder = SoundDecoder(codec)
    pcm = b"".join(decoder.decode(packet) for packet in encoded(encoder, rate, tone(rate)))
    heard = np.frombuffer(pcm, "<i2").astype(float)[1_600:]
    assert heard.size > 3_000
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert abs(np.argmax(spectrum) * 16_000 / heard.size - 440) < 6
    assert 4_000 < np.abs(heard).max() < 12_000


def test_what_is_no_opus_is_refused():
    with pytest.raises(DecodeError):
        SoundDecoder("opus").decode(b"\xff" * 3)


def test_usual_packets_pass_as_they_are():
    chunker = Chunker(48_000)
    assert chunker.put(b"a" * 20 * MS, 5, 7) == [(b"a" * 20 * MS, 5, 7)]
    assert chunker.put(b"b" * 60 * MS, 965, 8) == [(b"b" * 60 * MS, 965, 8)]


def test_short_packets_are_collected():
    chunker = Chunker(48_000)
    assert chunker.put(b"a" * 10 * MS, 0, 1) == []
    assert chunker.put(b"b" * 10 * MS, 480, 2) == [(b"a" * 10 * MS + b"b" * 10 * MS, 0, 1)]


def test_long_packets_are_cut_and_timed():
    pieces = Chunker(48_000).put(b"a" * 120 * MS, 1_000, 1)
    assert [(len(pcm) // MS, timestamp) for pcm, timestamp, _ in pieces] == [(60, 1_000), (60, 1_000 + 60 * 48)]


def test_what_is_held_is_dropped_at_a_gap():
    chunker = Chunker(8_000)
    chunker.put(b"a" * 10 * MS, 0, 1)
    chunker.forget()
    assert chunker.put(b"b" * 20 * MS, 800, 2) == [(b"b" * 20 * MS, 800, 2)]
