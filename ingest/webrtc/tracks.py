"""aiortc's own tracks as pictures and sound: the plain way to receive.

Unread tracks are drained; of pictures that wait to be encoded, the newest is kept. What aiortc 1.16 does not tell (when
a packet came, the sender's own timestamps, its reports) is read where its receivers take packets.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtcpSrPacket, RtpPacket

from ingest.admission import SAMPLE_RATE_HZ
from ingest.webrtc.offer import MODALITIES
from ingest.webrtc.pacing import Pacer
from ingest.webrtc.receiving.pictures import DecodeError, jpeg_of
from ingest.webrtc.receiving.sink import Picture, SenderReport, Sink, Sound
from ingest.webrtc.receiving.sound import Chunker
from ingest.webrtc.rtptime import WRAP, Unwrapper
from runtime.clock import Clock
from schemas.vocabulary import Modality, Outcome

log = logging.getLogger(__name__)

VIDEO_CLOCK_HZ: Final = 90_000
REMEMBERED_ARRIVALS: Final = 512
NTP_TO_UNIX_S: Final = 2_208_988_800
"""From 1900 to 1970 (RFC 5905, figure 4)."""


class Tracks:
    """The tracks of one peer connection, made after the offer was set and before the answer is."""

    def __init__(self, connection: RTCPeerConnection, sink: Sink, clock: Clock, max_fps: float) -> None:
        self._sink = sink
        self._clock = clock
        self._receivers: dict[Modality, RTCRtpReceiver] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for transceiver in connection.getTransceivers():
            receiver = transceiver.receiver
            modality = MODALITIES[transceiver.kind]
            if receiver.track is None or modality in self._receivers:
                continue
            self._receivers[modality] = receiver
            stamps = _Stamps(receiver, modality, sink, clock)
            taking = _Video(sink, stamps, max_fps) if modality is Modality.FACE else _Audio(sink, stamps)
            self._tasks.append(asyncio.create_task(self._drain(receiver.track, modality, taking.take)))
            if isinstance(taking, _Video):
                self._tasks.append(asyncio.create_task(taking.encode()))

    async def stop(self, modality: Modality) -> None:
        """Take nothing more of this modality: what still comes is thrown away undecoded."""
        receiver = self._receivers.pop(modality, None)
        if receiver is not None:
            await receiver.stop()

    async def close(self) -> None:
        """End every task; the connection is closed by whoever made it."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("a track ended by an error", exc_info=result)

    async def _drain(self, track: MediaStreamTrack, modality: Modality, take: Callable[[Any], None]) -> None:
        try:
            while True:
                take(await track.recv())
        except MediaStreamError:
            self._sink.ended(modality)


class _Stamps:
    """Arrivals and unwrapped timestamps of one receiver's frames."""

    def __init__(self, receiver: RTCRtpReceiver, modality: Modality, sink: Sink, clock: Clock) -> None:
        self._clock = clock
        self._arrivals: OrderedDict[int, int] = OrderedDict()
        self._unwrapper = Unwrapper()
        take_rtp: Callable[..., Awaitable[None]] = receiver._handle_rtp_packet  # noqa: SLF001 - see the module
        take_rtcp: Callable[..., Awaitable[None]] = receiver._handle_rtcp_packet  # noqa: SLF001

        async def on_rtp(packet: RtpPacket, arrival_time_ms: int) -> None:
            self._arrivals.setdefault(packet.timestamp, clock.now_us())
            if len(self._arrivals) > REMEMBERED_ARRIVALS:
                self._arrivals.popitem(last=False)
            await take_rtp(packet, arrival_time_ms=arrival_time_ms)

        async def on_rtcp(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                ntp = packet.sender_info.ntp_timestamp
                ntp_us = ((ntp >> 32) - NTP_TO_UNIX_S) * 1_000_000 + ((ntp & 0xFFFF_FFFF) * 1_000_000 >> 32)
                timestamp = self.map(packet.sender_info.rtp_timestamp)
                sink.sender_report(SenderReport(modality, ntp_us, timestamp, clock.now_us()))
            await take_rtcp(packet)

        receiver._handle_rtp_packet = on_rtp  # type: ignore[method-assign]  # noqa: SLF001
        receiver._handle_rtcp_packet = on_rtcp  # type: ignore[method-assign]  # noqa: SLF001
        # aiortc counts from a stream's first frame, and reports of the sender count from its own start.
        receiver._RTCRtpReceiver__timestamp_mapper = self  # type: ignore[attr-defined]  # noqa: SLF001

    def map(self, timestamp: int) -> int:
        """In the place of aiortc's TimestampMapper."""
        return self._unwrapper.unwrap(timestamp)

    def received_us(self, timestamp: int) -> int:
        """When the first packet of a frame came."""
        return self._arrivals.get(timestamp % WRAP, self._clock.now_us())


class _Video:
    def __init__(self, sink: Sink, stamps: _Stamps, max_fps: float) -> None:
        self._sink = sink
        self._stamps = stamps
        self._pacer = Pacer(max_fps)
        self._waiting: Any = None
        self._more = asyncio.Event()

    def take(self, frame: Any) -> None:
        if not self._pacer.wanted(frame.pts * 1_000_000 // VIDEO_CLOCK_HZ):
            self._sink.dropped(Modality.FACE, Outcome.REPLACED_BY_NEWER, 1)
            return
        if self._waiting is not None:
            self._sink.dropped(Modality.FACE, Outcome.REPLACED_BY_NEWER, 1)
        self._waiting = frame
        self._more.set()

    async def encode(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            frame, self._waiting = self._waiting, None
            try:
                jpeg = await asyncio.to_thread(jpeg_of, frame)
            except DecodeError:
                self._sink.dropped(Modality.FACE, Outcome.UNDECODABLE, 1)
                continue
            received_us = self._stamps.received_us(frame.pts)
            self._sink.picture(Picture(jpeg.data, jpeg.width, jpeg.height, frame.pts, received_us))


class _Audio:
    def __init__(self, sink: Sink, stamps: _Stamps) -> None:
        self._sink = sink
        self._stamps = stamps
        self._resampler: Any = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
        self._first = True
        self._chunker: Chunker | None = None
        self._rate_hz = 0
        self._next: int | None = None

    def take(self, frame: Any) -> None:
        rate = round(1 / frame.time_base)
        if self._chunker is None or rate != self._rate_hz:
            self._chunker, self._rate_hz = Chunker(rate), rate
        if self._next is not None and frame.pts != self._next:
            self._chunker.forget()
        self._next = frame.pts + frame.samples * rate // frame.sample_rate
        parts = [part.to_ndarray().reshape(-1) for part in self._resampler.resample(frame)]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        if self._first:  # the resampler keeps its filter's length back once: silence stands for it
            self._first = False
            missing = frame.samples * SAMPLE_RATE_HZ // frame.sample_rate - samples.size
            samples = np.concatenate((np.zeros(max(0, missing), np.int16), samples))
        pcm = samples.astype("<i2").tobytes()
        for piece, timestamp, received_us in self._chunker.put(pcm, frame.pts, self._stamps.received_us(frame.pts)):
            self._sink.sound(Sound(piece, timestamp, rate, received_us))
