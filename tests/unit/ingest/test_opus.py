import av
import numpy as np
import pytest

from ingest import opus
from ingest.admission import Refused
from ingest.libopus import LibopusDecoder, OpusError, library
from ingest.opus import FfmpegDecoder, OpusDecoder
from schemas.vocabulary import Outcome


def packets(milliseconds, count, layout="mono"):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, layout, "s16"
    encoder.options = {"frame_duration": str(milliseconds)}
    encoder.open()
    size, channels = 48 * milliseconds, 2 if layout == "stereo" else 1
    found = []
    for i in range(count):
        wave = np.sin(2 * np.pi * 1_000 * (np.arange(size) + i * size) / 48_000) * 10_000
        samples = np.repeat(wave.astype(np.int16), channels)[None, :]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate, frame.pts = 48_000, i * size
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


@pytest.fixture(params=["libopus", "ffmpeg"])
def way(request, monkeypatch):
    """Both ways to decode: the second is for where libopus is not found."""
    if request.param == "ffmpeg":
        monkeypatch.setattr(opus, "library", lambda: None)


def test_libopus_comes_with_av():
    assert isinstance(opus.decoder(), LibopusDecoder)


@pytest.mark.parametrize("milliseconds", [20, 40, 60])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.usefixtures("way")
def test_a_packet_gives_its_own_length(milliseconds, layout):
    decoder = OpusDecoder()
    sound = [decoder.decode(packet) for packet in packets(milliseconds, 10, layout)]
    assert {len(pcm) for pcm in sound} == {milliseconds * 32}
    heard = np.frombuffer(b"".join(sound[2:]), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert np.argmax(spectrum) * 16_000 / heard.size == pytest.approx(1_000, abs=10)
    assert np.abs(heard).max() == pytest.approx(10_000, rel=0.15)


def test_both_ways_hear_the_same():
    sent = packets(20, 20)
    ways = [LibopusDecoder(library()), FfmpegDecoder()]
    heard = [np.frombuffer(b"".join(map(way.decode, sent)), "<i2").astype(float) for way in ways]
    # They differ in delay and in the filter: compare how loud the tone is, not samples.
    loud = [np.sqrt(np.mean(sound[640:] ** 2)) for sound in heard]
    assert loud[0] == pytest.approx(loud[1], rel=0.05)


def test_an_empty_packet_is_no_loss_to_conceal():
    with pytest.raises(OpusError, match="empty"):
        LibopusDecoder(library()).decode(b"")


@pytest.mark.usefixtures("way")
def test_short_packets_and_rubbish_are_refused():
    decoder = OpusDecoder()
    with pytest.raises(Refused, match="10 ms"):
        decoder.decode(packets(10, 1)[0])
    with pytest.raises(Refused) as refused:
        decoder.decode(b"\xff\xff\xff")
    assert refused.value.outcome is Outcome.MALFORMED
    assert len(decoder.decode(packets(20, 1)[0])) == 640
