"""A receiver in the place of aiortc's: same interface to the connection, its own way from packets to media.

Everything runs in the event loop's thread but the decoding of video. What aiortc's receiver does and this one does
not: it starts no thread of its own, keeps no unbounded queue, and its track (aiortc's object) yields no frames.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Final

from aiortc import RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    pack_remb_fci,
)
from aiortc.rtp import RtpPacket as AiortcPacket

from ingest.webrtc.receiving import packets
from ingest.webrtc.receiving.bandwidth import BandwidthEstimate
from ingest.webrtc.receiving.jitter_buffer import AUDIO, VIDEO, EncodedFrame, Event, JitterBuffer
from ingest.webrtc.receiving.packets import Piece, RtpPacket
from ingest.webrtc.receiving.pump import Pump
from ingest.webrtc.receiving.sink import SenderReport
from ingest.webrtc.receiving.statistics import ReceptionStatistics
from ingest.webrtc.receiving.stream import Stream
from runtime.clock import Clock
from schemas.vocabulary import Modality

log = logging.getLogger(__name__)

PIECES: Final[Mapping[str, Callable[[bytes], Piece]]] = {"VP8": packets.vp8, "H264": packets.h264}
SEND_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TICK_S: Final = 0.02
"""How often what waits is looked at; nothing ticks while nothing waits."""

REPORT_S: Final = 1.0
SWITCH_US: Final = 500_000
NTP_EPOCH_S: Final = 2_208_988_800
"""From 1900 to 1970."""


class MediaReceiver(RTCRtpReceiver):
    """Receives one track. The latest stream (SSRC) counts: a new one takes the place of the one before."""

    def __init__(self, kind: str, transport: RTCDtlsTransport, stream: Stream, clock: Clock) -> None:
        super().__init__(kind, transport)
        self._kind = kind
        self._modality = Modality.FACE if kind == "video" else Modality.SPEECH
        self._stream = stream
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._codecs: dict[int, RTCRtpCodecParameters] = {}
        self._repeats: dict[int, int] = {}
        """SSRC of a retransmission stream to that of the stream that it repeats."""
        self._send_time_id = 0
        self._bandwidth = BandwidthEstimate() if kind == "video" else None
        self._own_ssrc: int | None = None
        self._ssrc: int | None = None
        self._payload_type = -1
        self._began_us = 0
        self._buffer: JitterBuffer | None = None
        self._broken = 0
        self._statistics: ReceptionStatistics | None = None
        self._last_report = (0, 0)
        """The middle 32 bits of the sender's latest report's time, and when it came."""
        self._tick: asyncio.TimerHandle | None = None
        self._report: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._running = False
        self._over = False

    # what the connection calls

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin; the transport is connected."""
        if self._running or self._over:
            return
        self._running = True
        self._codecs = {codec.payloadType: codec for codec in parameters.codecs if codec.payloadType is not None}
        self._repeats = {encoding.rtx.ssrc: encoding.ssrc for encoding in parameters.encodings if encoding.rtx}
        for extension in parameters.headerExtensions:
            if extension.uri == SEND_TIME_URI:
                self._send_time_id = extension.id
        self.transport._register_rtp_receiver(self, parameters)  # noqa: SLF001 - the receiver's side of the transport
        Pump.of(self.transport, self._clock, self._stream.sink.heard)
        self._schedule_report()

    async def stop(self) -> None:
        """End for good."""
        if self._running:
            self.transport._unregister_rtp_receiver(self)  # noqa: SLF001
        self._end()
        for task in list(self._sending):
            task.cancel()

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        super()._set_rtcp_ssrc(ssrc)
        self._own_ssrc = ssrc

    def _handle_disconnect(self) -> None:
        self._end()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpByePacket):
            self._end()
        elif isinstance(packet, RtcpSrPacket) and packet.ssrc == self._ssrc and self._buffer is not None:
            now = self._clock.now_us()
            ntp = packet.sender_info.ntp_timestamp
            self._last_report = (ntp >> 16 & 0xFFFFFFFF, now)
            ntp_us = ((ntp >> 32) - NTP_EPOCH_S) * 1_000_000 + ((ntp & 0xFFFFFFFF) * 1_000_000 >> 32)
            timestamp = self._buffer.unwrap(packet.sender_info.rtp_timestamp)
            self._stream.sink.sender_report(SenderReport(self._modality, ntp_us, timestamp, now))

    async def _handle_rtp_packet(self, packet: AiortcPacket, arrival_time_ms: int) -> None:
        """What came before the short way was laid: from aiortc's own queue."""
        del arrival_time_ms
        self.take(
            RtpPacket(
                bool(packet.marker),
                packet.payload_type,
                packet.sequence_number,
                packet.timestamp,
                packet.ssrc,
                packet.payload,
                b"",
                0,
            ),
            self._clock.now_us(),
        )

    # packets

    def take(self, packet: RtpPacket, now_us: int) -> None:
        """Take one packet; what it completes is on its way to the sink when this returns."""
        codec = self._codecs.get(packet.payload_type)
        if codec is None or self._over or not self._enabled:
            return
        if self._send_time_id:
            self._estimate(packet, now_us)
        if packet.payload_type != self._payload_type or packet.ssrc != self._ssrc:
            if is_rtx(codec):
                original = self._original(packet, codec)
                if original is not None and self._buffer is not None:
                    self._handle(self._buffer.put(original, now_us), now_us)
                return
            if not self._begin_stream(packet, codec, now_us):
                return
        assert self._statistics is not None
        assert self._buffer is not None
        self._statistics.add(packet.sequence, packet.timestamp, now_us)
        self._handle(self._buffer.put(packet, now_us), now_us)

    def _begin_stream(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now_us: int) -> bool:
        """The sender begins a stream, or goes on in another codec; False if it is not taken.

        A new stream costs a new decoder, so that streams must not take turns faster than a sender has reason for.
        """
        if self._ssrc is not None and 0 <= now_us - self._began_us < SWITCH_US:
            return False
        if not self._stream.begin(codec.name, codec.clockRate):
            return False
        self._began_us = now_us
        video = self._modality is Modality.FACE
        self._broken = 0
        self._buffer = JitterBuffer(PIECES.get(codec.name, packets.whole), VIDEO if video else AUDIO)
        if packet.ssrc != self._ssrc:
            self._statistics = ReceptionStatistics(codec.clockRate)
            self._last_report = (0, 0)
        self._ssrc, self._payload_type = packet.ssrc, packet.payload_type
        return True

    def _original(self, packet: RtpPacket, codec: RTCRtpCodecParameters) -> RtpPacket | None:
        """The packet that a retransmission repeats (RFC 4588, section 4), or None."""
        ssrc = self._repeats.get(packet.ssrc)
        payload_type = codec.parameters.get("apt")
        if ssrc is None or ssrc != self._ssrc or payload_type != self._payload_type or len(packet.payload) < 2:
            return None
        sequence = int.from_bytes(packet.payload[:2], "big")
        return packet._replace(
            payload_type=self._payload_type, sequence=sequence, ssrc=ssrc, payload=packet.payload[2:]
        )

    def _handle(self, events: list[Event], now_us: int) -> None:
        assert self._buffer is not None
        if self._buffer.broken > self._broken:
            self._stream.broken(self._buffer.broken - self._broken)
            self._broken = self._buffer.broken
        for event in events:
            if isinstance(event, EncodedFrame):
                self._stream.frame(event, now_us)
            else:
                self._stream.lost(event, now_us)
        # Also after a frame that could not be decoded, which turns out later, in another thread.
        if events and self._stream.wants_key_frame(now_us):
            self._send_picture_loss()
        if self._buffer.waiting:
            self._ask(now_us)
            if self._tick is None:
                self._tick = self._loop.call_later(TICK_S, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        if self._buffer is not None and not self._over:
            now = self._clock.now_us()
            self._handle(self._buffer.due(now), now)

    def _ask(self, now_us: int) -> None:
        """Ask for missing packets; sound is not sent again."""
        assert self._buffer is not None
        if self._modality is not Modality.FACE or self._own_ssrc is None or self._ssrc is None:
            return
        missing = self._buffer.order.to_ask_for(now_us)
        if missing:
            self._send(RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._own_ssrc, self._ssrc, sorted(missing)))

    # RTCP

    def _send_picture_loss(self) -> None:
        if self._own_ssrc is not None and self._ssrc is not None:
            self._send(RtcpPsfbPacket(RTCP_PSFB_PLI, self._own_ssrc, self._ssrc))

    def _estimate(self, packet: RtpPacket, now_us: int) -> None:
        value = packets.extension(packet, self._send_time_id)
        if self._bandwidth is None or value is None or len(value) != 3:
            return
        sent = int.from_bytes(value, "big")
        told = self._bandwidth.add(sent, now_us // 1_000, len(packet.payload), packet.ssrc)
        if told is not None and self._own_ssrc is not None:
            self._send(RtcpPsfbPacket(RTCP_PSFB_APP, self._own_ssrc, 0, pack_remb_fci(*told)))

    def _schedule_report(self) -> None:
        if not self._over:
            # Varied, so that reports of many receivers do not come at once (RFC 3550, section 6.2).
            self._report = self._loop.call_later(REPORT_S * random.uniform(0.5, 1.5), self._on_report)

    def _on_report(self) -> None:
        if self._statistics is not None and self._own_ssrc is not None and self._ssrc is not None:
            figures = self._statistics.report()
            stamp, came_us = self._last_report
            delay = (self._clock.now_us() - came_us) * 65_536 // 1_000_000 if stamp else 0
            block = RtcpReceiverInfo(
                ssrc=self._ssrc,
                fraction_lost=figures.fraction_lost,
                packets_lost=figures.packets_lost,
                highest_sequence=figures.highest_sequence,
                jitter=figures.jitter,
                lsr=stamp,
                dlsr=min(max(delay, 0), 0xFFFFFFFF),
            )
            self._send(RtcpRrPacket(self._own_ssrc, [block]))
        self._schedule_report()

    def _send(self, packet: AnyRtcpPacket) -> None:
        task = self._loop.create_task(self._deliver(bytes(packet)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, data: bytes) -> None:
        try:
            await self.transport._send_rtp(data)  # noqa: SLF001
        except ConnectionError:
            log.debug("the peer is gone: no report is sent")

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        for handle in (self._tick, self._report):
            if handle is not None:
                handle.cancel()
        self._stream.end()
        if self._track is not None:
            self._track.stop()
