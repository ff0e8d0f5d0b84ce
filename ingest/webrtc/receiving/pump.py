"""The short way of a transport's datagrams: an RTP packet is decrypted, parsed and taken as it arrives.

aiortc puts each datagram into a queue from which a task takes it, after trying to read it as a STUN message. Here
datagrams are told apart by their first byte (RFC 7983), RTP goes straight to its receiver, and only DTLS and RTCP take
aiortc's way. Datagrams that are nothing of all this are dropped; an empty one would end aiortc's task for good.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, cast

import pylibsrtp
from aiortc.rtcdtlstransport import RTCDtlsTransport

from ingest.webrtc.datapath import DataPath
from ingest.webrtc.receiving.packets import RtpPacket, parse
from runtime.clock import Clock

log = logging.getLogger(__name__)

STUN_LAST: Final = 3
DTLS_FIRST, DTLS_LAST = 20, 63
RTP_FIRST, RTP_LAST = 128, 191
RTCP_FIRST, RTCP_LAST = 192, 208
MIN_BYTES: Final = 12
"""Of an RTP packet; nothing that belongs here is shorter."""

MAX_STREAMS: Final = 64
"""A peer that names more streams than this gets no more of them routed."""


class TakesPackets(Protocol):
    """A receiver that takes parsed packets."""

    def take(self, packet: RtpPacket, now_us: int) -> None:
        """Take one packet."""
        ...


FIELD: Final = "_affectstream_pump"
"""Where a transport keeps its pump: they refer to each other, and are freed together."""


class Pump:
    """Stands where one connected transport's datagrams come in."""

    def __init__(self, transport: RTCDtlsTransport, clock: Clock, heard: Callable[[], None]) -> None:
        ice = cast("Any", transport.transport._connection)  # noqa: SLF001
        self._clock = clock
        self._heard = heard
        self._transport = transport
        self._data: DataPath | None = None
        self._unprotect = transport._rx_srtp.unprotect  # noqa: SLF001
        self._router = transport._rtp_router  # noqa: SLF001
        self._queue = ice.data_received
        self.rejected = 0
        """Datagrams that are no packets of this connection: forged, repeated, cut off."""
        self.failed = 0
        """Packets over which a receiver stumbled."""
        ice.data_received = self.datagram
        for protocol in ice._protocols:  # noqa: SLF001
            protocol.datagram_received = partial(
                self._received, protocol.datagram_received, protocol.local_candidate.component
            )

    @classmethod
    def of(cls, transport: RTCDtlsTransport, clock: Clock, heard: Callable[[], None]) -> "Pump":
        """The pump of a connected transport, made at the first call; ``heard``: when data of data channels come."""
        pump: Pump | None = getattr(transport, FIELD, None)
        if pump is None:
            pump = cls(transport, clock, heard)
            setattr(transport, FIELD, pump)
        return pump

    def _received(self, stun: Any, component: int, data: bytes, address: Any) -> None:
        if len(data) < MIN_BYTES:
            self.rejected += 1
        elif data[0] <= STUN_LAST:
            stun(data, address)
        else:
            self.datagram(data, component)

    def datagram(self, data: bytes, component: int) -> None:
        """Take a datagram that is no STUN message."""
        if len(data) < MIN_BYTES:
            self.rejected += 1
            return
        if not RTP_FIRST <= data[0] <= RTP_LAST or RTCP_FIRST <= data[1] <= RTCP_LAST:
            if not (DTLS_FIRST <= data[0] <= DTLS_LAST and self._take_data(data)):
                self._queue(data, component)
            return
        try:
            packet = parse(self._unprotect(data))
        except (pylibsrtp.Error, ValueError) as error:
            self.rejected += 1
            log.debug("a datagram of %d bytes is no RTP packet of this connection: %s", len(data), error)
            return
        receiver = self._route(packet)
        if receiver is None:
            return
        try:
            receiver.take(packet, self._clock.now_us())
        except Exception:
            # One packet's fault, not the connection's. Only the first is told in full: peers can send many.
            self.failed += 1
            if self.failed == 1:
                log.exception("an RTP packet of %d bytes could not be taken", len(packet.payload))

    def _take_data(self, data: bytes) -> bool:
        if self._data is None:
            self._data = DataPath.of(self._transport)
        if self._data is None or not self._data.take(data):
            return False
        self._heard()
        return True

    def _route(self, packet: RtpPacket) -> TakesPackets | None:
        known = self._router.ssrc_table
        if packet.ssrc not in known and len(known) >= MAX_STREAMS:
            return None
        # aiortc's router asks a packet for its ssrc and payload_type only; its receivers here are ours.
        return cast("TakesPackets | None", self._router.route_rtp(cast("Any", packet)))
