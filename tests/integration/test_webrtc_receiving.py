"""Reception over real connections: aiortc's sender, DTLS, SRTP, and a network that loses, reorders and repeats."""

import asyncio
import logging
import socket

import cv2
import numpy as np
import pytest

from ingest.webrtc.receiving import reception
from schemas.vocabulary import Modality, Outcome
from tests.support.webrtc_pair import connected


def brightness(picture):
    return float(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_pictures_and_sound_come_in_order_with_their_times(monkeypatch, codec):
    async with connected(monkeypatch, codec=codec) as pair:
        sink = pair.sink
        await pair.until(lambda: len(sink.pictures) > 15 and len(sink.sounds) > 25 and len(sink.reports) > 1, "media")
    stamps = [picture.timestamp for picture in sink.pictures]
    assert stamps == sorted(set(stamps))
    arrivals = [picture.received_us for picture in sink.pictures]
    assert arrivals == sorted(arrivals)
    assert {(picture.width, picture.height) for picture in sink.pictures} == {(160, 120)}
    # The film grows brighter, and its narrow range is stretched to the full one.
    light = [brightness(picture) for picture in sink.pictures]
    assert light[0] < light[-1]
    assert light[0] < 16
    assert {len(sound.pcm) for sound in sink.sounds} == {640}
    heard = np.frombuffer(b"".join(sound.pcm for sound in sink.sounds[5:25]), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert abs(np.argmax(spectrum) * 16_000 / heard.size - 440) < 5
    assert {report.modality for report in sink.reports} <= set(Modality)
    assert sorted(sink.ends) == sorted(Modality)


async def test_under_loss_reordering_and_repetition_it_goes_on(monkeypatch):
    async with connected(monkeypatch, size=(640, 480)) as pair:
        pair.network.loss, pair.network.reorder, pair.network.repeat = 0.1, 0.1, 0.1
        await pair.until(lambda: pair.network.lost > 10, "losses")
        before = len(pair.sink.pictures), len(pair.sink.sounds)
        await pair.until(lambda: len(pair.sink.pictures) > before[0] + 5, "pictures under loss")
        await pair.until(lambda: len(pair.sink.sounds) > before[1] + 20, "sound under loss")
        pair.network.loss = pair.network.reorder = pair.network.repeat = 0.0
        after = len(pair.sink.pictures)
        await pair.until(lambda: len(pair.sink.pictures) > after + 10, "pictures after the losses")
    stamps = [picture.timestamp for picture in pair.sink.pictures]
    assert stamps == sorted(set(stamps))
    assert {outcome for _, outcome, _ in pair.sink.drops} <= {
        Outcome.GAP, Outcome.REPLACED_BY_NEWER, Outcome.UNDECODABLE
    }  # fmt: skip


async def test_an_outage_ends_with_a_key_frame(monkeypatch):
    async with connected(monkeypatch) as pair:
        pair.network.loss = 1.0
        await pair.until(lambda: pair.network.lost > 60, "an outage")
        pair.network.loss = 0.0
        seen = len(pair.sink.pictures)
        await pair.until(lambda: len(pair.sink.pictures) > seen + 5, "pictures after the outage")


async def test_the_size_may_change(monkeypatch):
    async with connected(monkeypatch) as pair:
        pair.film.size = (320, 240)
        await pair.until(lambda: pair.sink.pictures[-1].width == 320, "larger pictures")
        pair.film.size = (1280, 720)
        await pair.until(lambda: pair.sink.pictures[-1].width == 640, "pictures scaled down")
        assert pair.sink.pictures[-1].height == 360


async def test_no_more_pictures_than_wanted(monkeypatch):
    async with connected(monkeypatch, max_fps=10) as pair:
        await pair.until(lambda: len(pair.sink.pictures) > 10, "pictures")
    spacing = np.diff([picture.timestamp for picture in pair.sink.pictures]) / 90_000
    assert spacing.mean() >= 0.09
    assert (Modality.FACE, Outcome.REPLACED_BY_NEWER, 1) in pair.sink.drops


async def test_a_modality_can_be_stopped(monkeypatch):
    async with connected(monkeypatch) as pair:
        await pair.reception.stop(Modality.FACE)
        assert pair.sink.ends == [Modality.FACE]
        seen, heard = len(pair.sink.pictures), len(pair.sink.sounds)
        await pair.until(lambda: len(pair.sink.sounds) > heard + 10, "sound goes on")
        assert len(pair.sink.pictures) == seen


async def test_foreign_datagrams_change_nothing(monkeypatch):
    async with connected(monkeypatch) as pair:
        address = pair.receiving_address()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for data in (b"", b"\0", b"\x80", b"\x80\x60" + b"\0" * 30, b"\xbf" * 2_000, b"\xff" * 50, b"\x90" * 12):
                for _ in range(20):
                    stranger.sendto(data, address)
        seen, heard = len(pair.sink.pictures), len(pair.sink.sounds)
        await pair.until(lambda: len(pair.sink.pictures) > seen + 5, "pictures go on")
        await pair.until(lambda: len(pair.sink.sounds) > heard + 5, "sound goes on")


async def test_another_version_of_aiortc_is_left_as_it_is(monkeypatch, caplog):
    monkeypatch.setitem(reception.KNOWN, "aiortc", "0.0.")
    monkeypatch.setattr(reception, "_told", set())
    with caplog.at_level(logging.WARNING):
        async with connected(monkeypatch) as pair:
            await pair.until(lambda: len(pair.sink.pictures) > 5 and len(pair.sink.sounds) > 5, "media")
    assert "using aiortc's own receivers" in caplog.text
    assert type(pair.reception).__name__ == "Tracks"


async def test_the_peers_end_is_told_once(monkeypatch):
    async with connected(monkeypatch) as pair:
        await pair.sender.close()
        await pair.until(lambda: len(pair.sink.ends) == 2, "both ends")
        await asyncio.sleep(0)
    assert sorted(pair.sink.ends) == sorted(Modality)
