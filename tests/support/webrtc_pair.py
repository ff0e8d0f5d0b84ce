"""Two aiortc connections in one event loop, over loopback: one that sends, one whose reception is tested."""

import asyncio
import random
from contextlib import asynccontextmanager
from fractions import Fraction

import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from ingest.webrtc.receiving.pool import MediaPool
from ingest.webrtc.receiving.reception import receive
from runtime.clock import SystemClock
from tests.support.waiting import eventually_async

FPS = 30
NO_ICE = RTCConfiguration(iceServers=[])


class Collected:
    """A sink that keeps everything."""

    def __init__(self):
        self.pictures, self.sounds, self.drops, self.reports, self.ends = [], [], [], [], []
        self.others = 0

    def picture(self, picture):
        self.pictures.append(picture)

    def sound(self, sound):
        self.sounds.append(sound)

    def dropped(self, modality, outcome, count):
        self.drops.append((modality, outcome, count))

    def sender_report(self, report):
        self.reports.append(report)

    def heard(self):
        self.others += 1

    def ended(self, modality):
        self.ends.append(modality)


class Film(MediaStreamTrack):
    """A grey picture whose brightness rises, paced; ``size`` may be changed at any time."""

    kind = "video"

    def __init__(self, size=(160, 120)):
        super().__init__()
        self.size = size
        self.number = 0

    async def recv(self):
        await asyncio.sleep(1 / FPS)
        width, height = self.size
        luma = np.full((height, width), 16 + self.number % 200, np.uint8)
        chroma = np.full((height // 2, width), 128, np.uint8)
        frame = av.VideoFrame.from_ndarray(np.concatenate((luma, chroma)), "yuv420p")
        frame.pts, frame.time_base = self.number * 90_000 // FPS, Fraction(1, 90_000)
        self.number += 1
        return frame


class Tone(MediaStreamTrack):
    """A tone of 440 Hz."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.number = 0

    async def recv(self):
        await asyncio.sleep(0.02)
        t = (np.arange(960) + 960 * self.number) / 48_000
        wave = (np.sin(2 * np.pi * 440 * t) * 8_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 960 * self.number, Fraction(1, 48_000)
        self.number += 1
        return frame


class Network:
    """What happens to a connection's datagrams of media on their way out."""

    def __init__(self, ice, *, seed=1):
        self._random = random.Random(seed)
        self._send = ice._send
        self._kept = None
        self.loss = self.reorder = self.repeat = 0.0
        self.lost = 0

    async def send(self, data):
        if not 127 < data[0] < 192 or 192 <= data[1] <= 208:  # DTLS, STUN and RTCP pass
            await self._send(data)
            return
        if self._random.random() < self.loss:
            self.lost += 1
            return
        if self._kept is None and self._random.random() < self.reorder:
            self._kept = data
            return
        await self._send(data)
        if self._random.random() < self.repeat:
            await self._send(data)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await self._send(kept)


class Pair:
    """A connected pair."""

    def __init__(self, sender, receiver, film, sink, reception):
        self.sender, self.receiver, self.film, self.sink, self.reception = sender, receiver, film, sink, reception
        transport = sender.getSenders()[0].transport.transport
        self.network = Network(transport)
        transport._send = self.network.send

    async def until(self, condition, what):
        """Return once ``condition()`` holds."""
        await eventually_async(condition, deadline_s=60.0, what=what)

    def receiving_address(self):
        """Where the receiver's datagrams go."""
        pair = self.sender.getSenders()[0].transport.transport._connection._nominated[1]
        return pair.remote_addr


@asynccontextmanager
async def connected(monkeypatch, *, codec="VP8", size=(160, 120), max_fps=60, stock=False):
    """A pair that sends ``codec`` and Opus; yields once the first picture and the first sound have come."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_versions: ["127.0.0.1"])
    sink, pool, film = Collected(), MediaPool(2), Film(size)
    sender, receiver = RTCPeerConnection(NO_ICE), RTCPeerConnection(NO_ICE)
    reception = None
    try:
        offered = sender.createDataChannel("data", ordered=False, maxRetransmits=0)
        answered = asyncio.get_running_loop().create_future()
        receiver.on("datachannel", answered.set_result)
        sender.addTrack(film)
        sender.addTrack(Tone())
        wanted = {f"video/{codec}", "video/rtx"}
        codecs = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in wanted]
        next(t for t in sender.getTransceivers() if t.kind == "video").setCodecPreferences(codecs)
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(RTCSessionDescription(sender.localDescription.sdp, "offer"))
        reception = receive(receiver, sink, pool, SystemClock(), max_fps=max_fps, stock=stock)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(RTCSessionDescription(receiver.localDescription.sdp, "answer"))
        pair = Pair(sender, receiver, film, sink, reception)
        pair.offered, pair.answered = offered, await answered
        await pair.until(lambda: sink.pictures and sink.sounds, "first picture and sound")
        yield pair
    finally:
        if reception is not None:
            await reception.close()
        await asyncio.gather(sender.close(), receiver.close())
        pool.close()
