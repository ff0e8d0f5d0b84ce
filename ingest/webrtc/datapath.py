"""The short way of a connection's data channels: a small message leaves in one call, its acknowledgement ends in one.

aiortc makes a task of every message, and takes every datagram through a queue and a task. Here a message of an
unordered channel that fits into one packet, while nothing waits and the congestion window has room, becomes a packet at
once, and a packet that only acknowledges in order is done with at once. The association's state stays aiortc's own:
whatever is not as simple as that (loss, fragments, timers, resets) goes its usual way, on the same state.
"""

import asyncio
import contextlib
import struct
import time
from collections import deque
from typing import Any, Final, cast

from aiortc import RTCDataChannel
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    USERDATA_MAX_LENGTH,
    WEBRTC_BINARY,
    WEBRTC_STRING,
    DataChunk,
    RTCSctpTransport,
)
from google_crc32c import value as crc32c
from OpenSSL import SSL

MAX_DATAGRAM: Final = 1_500
CONNECTED: Final = "connected"
DATA_BYTES: Final = 16
SACK: Final = 3
SACK_BYTES: Final = 28
"""A packet of one SACK without gaps and duplicates (RFC 9260, sections 3.1 and 3.3.4)."""

_DATA: Final = struct.Struct("!HHL4xBBHLHHL")
_SACK: Final = struct.Struct("!HHLLBBHLLHH")
_CHECKSUM: Final = struct.Struct("<L")

SCTP_FIELDS: Final = (
    "_association_state", "_data_channel_queue", "_outbound_queue", "_sent_queue", "_flight_size", "_cwnd",
    "_forward_tsn_chunk", "_fast_recovery_exit", "_local_tsn", "_t3_handle", "_t3_start", "_t3_restart", "_t3_cancel",
    "_local_port", "_remote_port", "_remote_verification_tag", "_local_verification_tag", "_last_sacked_tsn",
    "_advanced_peer_ack_tsn", "_reconfig_queue", "_handle_data", "_flight_size_increase", "_flight_size_decrease",
)  # fmt: skip
"""What of aiortc's association is used here."""

FIELD: Final = "_affectstream_data_path"
"""Where a transport keeps its path: they refer to each other, and are freed together."""


class DataPath:
    """Stands beside one transport's association. Used in the event loop's thread."""

    def __init__(self, transport: RTCDtlsTransport, sctp: RTCSctpTransport) -> None:
        self._transport = transport
        self._sctp = cast("Any", sctp)
        self._ice = cast("Any", transport.transport)._connection
        self._ssl = cast("Any", transport)._ssl
        self._pending: deque[bytes] = deque()
        self._handling: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, transport: RTCDtlsTransport) -> "DataPath | None":
        """The path of a connected transport with data channels; None where aiortc's has to do."""
        path: DataPath | None = getattr(transport, FIELD, None)
        if path is None:
            sctp = transport._data_receiver
            if not isinstance(sctp, RTCSctpTransport) or not all(hasattr(sctp, name) for name in SCTP_FIELDS):
                return None
            path = cls(transport, sctp)
            setattr(transport, FIELD, path)
        return path

    def send(self, channel: RTCDataChannel, message: str | bytes) -> bool:
        """Send a message now; False, and nothing is done, where that cannot be."""
        sctp = self._sctp
        data = message.encode() if isinstance(message, str) else message
        if (
            channel.ordered
            or channel.id is None
            or channel.maxPacketLifeTime
            or not 0 < len(data) <= USERDATA_MAX_LENGTH
            or sctp._outbound_queue
            or sctp._data_channel_queue
            or sctp._forward_tsn_chunk is not None
            or sctp._fast_recovery_exit is not None
            or sctp._flight_size >= sctp._cwnd
            or sctp._association_state is not RTCSctpTransport.State.ESTABLISHED
            or self._transport.state != CONNECTED
        ):
            return False
        pair = self._ice._nominated.get(1)
        if pair is None:
            return False
        chunk = cast("Any", DataChunk())
        chunk.flags = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG | SCTP_DATA_UNORDERED
        chunk.tsn = tsn = sctp._local_tsn
        chunk.stream_id, chunk.protocol = channel.id, WEBRTC_STRING if isinstance(message, str) else WEBRTC_BINARY
        chunk.user_data = data
        chunk._abandoned = chunk._acked = chunk._in_flight = chunk._retransmit = False
        chunk._book_size, chunk._expiry = len(data), None
        chunk._max_retransmits, chunk._misses = channel.maxRetransmits, 0
        chunk._sent_count, chunk._sent_time = 1, time.time()
        sctp._local_tsn = (tsn + 1) & 0xFFFFFFFF
        sctp._sent_queue.append(chunk)
        sctp._flight_size_increase(chunk)
        packet = bytearray(
            _DATA.pack(
                sctp._local_port, sctp._remote_port, sctp._remote_verification_tag,
                0, chunk.flags, DATA_BYTES + len(data), tsn, channel.id, 0, chunk.protocol,
            )
        )  # fmt: skip
        packet += data
        packet += bytes(-len(data) % 4)
        _CHECKSUM.pack_into(packet, 8, crc32c(bytes(packet)))
        with contextlib.suppress(SSL.Error):  # it closes: then this packet is lost, as any may be
            self._ssl.send(bytes(packet))
            pair.protocol.transport.sendto(self._ssl.bio_read(MAX_DATAGRAM), pair.remote_addr)
        if sctp._t3_handle is None:
            sctp._t3_start()
        return True

    def take(self, datagram: bytes) -> bool:
        """Take a DTLS record of the connected transport; False if aiortc is to look at it (again: it does no harm)."""
        if self._transport.state != CONNECTED:
            return False
        self._ssl.bio_write(datagram)
        try:
            packet = self._ssl.recv(MAX_DATAGRAM)
        except SSL.Error:  # nothing for the association: a handshake's repetition, or the peer's farewell
            return False
        if self._handling is None and self._acknowledge(packet):
            return True
        self._pending.append(packet)
        if self._handling is None:
            self._handling = asyncio.get_running_loop().create_task(self._handle())
        return True

    async def _handle(self) -> None:
        """What is not done with at once, in order."""
        try:
            while self._pending:
                await self._sctp._handle_data(self._pending.popleft())
        except ConnectionError:
            self._pending.clear()
        finally:
            self._handling = None

    def _acknowledge(self, packet: bytes) -> bool:
        """Whether the packet is one acknowledgement in order, and was taken."""
        sctp = self._sctp
        if len(packet) != SACK_BYTES or packet[12] != SACK:
            return False
        _, _, tag, _, _, _, length, cumulative, _, gaps, duplicates = _SACK.unpack(packet)
        if (
            length != SACK_BYTES - 12
            or gaps
            or duplicates
            or tag != sctp._local_verification_tag
            or sctp._forward_tsn_chunk is not None
            or sctp._fast_recovery_exit is not None
            or sctp._advanced_peer_ack_tsn != sctp._last_sacked_tsn
            or sctp._outbound_queue
            or sctp._data_channel_queue
            or sctp._reconfig_queue
            or not sctp._sent_queue
            or _CHECKSUM.unpack_from(packet, 8)[0] != crc32c(packet[:8] + b"\0\0\0\0" + packet[12:])
        ):
            return False
        newly = (cumulative - sctp._last_sacked_tsn) & 0xFFFFFFFF
        queue = sctp._sent_queue
        if not 0 < newly <= len(queue) or (queue[newly - 1].tsn != cumulative):
            return False
        for chunk in (queue[number] for number in range(newly)):
            if chunk._retransmit or chunk._abandoned or chunk._acked or chunk._sent_count != 1:
                return False
        full = sctp._flight_size >= sctp._cwnd
        if full:
            return False  # the window may grow: aiortc knows by how much
        first = queue[0]
        for _ in range(newly):
            sctp._flight_size_decrease(queue.popleft())
        sctp._last_sacked_tsn = sctp._advanced_peer_ack_tsn = cumulative
        sctp._update_rto(time.time() - first._sent_time)
        if queue:
            sctp._t3_restart()
        else:
            sctp._t3_cancel()
        return True
