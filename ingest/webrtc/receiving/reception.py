"""Puts receivers of ours into an aiortc connection, where aiortc is one that they are known to fit; else uses its own.

This is the one place that knows how: what is replaced here are private parts of aiortc, which another version may have
arranged anew. Then everything works as aiortc does by itself, only slower and later, and a log line says so.
"""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver

from ingest.webrtc.offer import MODALITIES
from ingest.webrtc.receiving.pool import MediaPool
from ingest.webrtc.receiving.receiver import MediaReceiver
from ingest.webrtc.receiving.sink import Sink
from ingest.webrtc.receiving.stream import SoundStream, VideoStream
from ingest.webrtc.tracks import Tracks
from runtime.clock import Clock
from schemas.vocabulary import Modality

log = logging.getLogger(__name__)

KNOWN: Final = {"aiortc": "1.16.", "aioice": "0.13.", "pylibsrtp": "1.0."}
"""Versions (beginnings of them) whose insides the receivers have been tested with."""

RECEIVER_FIELD: Final = "_RTCRtpTransceiver__receiver"
TRANSPORT_FIELDS: Final = ("_rx_srtp", "_rtp_router", "_register_rtp_receiver", "_unregister_rtp_receiver", "_send_rtp")
ICE_FIELDS: Final = ("data_received", "_protocols")

_told: set[str] = set()


class Reception(Protocol):
    """What receives for one connection, until the connection is closed by whoever made it."""

    async def stop(self, modality: Modality) -> None:
        """Take nothing more of this modality: what still comes is thrown away undecoded."""
        ...

    async def close(self) -> None:
        """End everything that was started."""
        ...


def receive(
    connection: RTCPeerConnection, sink: Sink, pool: MediaPool, clock: Clock, *, max_fps: float, stock: bool = False
) -> Reception:
    """Have the first audio and the first video track of ``connection`` go to ``sink``.

    Call it once the offer is set, before the answer is. Of more than ``max_fps`` pictures a second some are left out,
    evenly. ``stock``: use aiortc's own receivers in any case.
    """
    transceivers: dict[Modality, RTCRtpTransceiver] = {}
    for transceiver in connection.getTransceivers():
        if transceiver.receiver.track is not None:
            transceivers.setdefault(MODALITIES[transceiver.kind], transceiver)
    differs = "" if stock else _what_differs(transceivers.values())
    if differs and differs not in _told:
        _told.add(differs)
        log.warning("using aiortc's own receivers, which cost more and wait longer: %s", differs)
    if stock or differs:
        return Tracks(connection, sink, clock, max_fps)
    return _Receivers(
        {modality: _replace(entry, sink, pool, clock, max_fps) for modality, entry in transceivers.items()}
    )


class _Receivers:
    def __init__(self, receivers: Mapping[Modality, MediaReceiver]) -> None:
        self._receivers = receivers

    async def stop(self, modality: Modality) -> None:
        receiver = self._receivers.get(modality)
        if receiver is not None:
            await receiver.stop()

    async def close(self) -> None:
        for receiver in self._receivers.values():
            await receiver.stop()


def _replace(
    transceiver: RTCRtpTransceiver, sink: Sink, pool: MediaPool, clock: Clock, max_fps: float
) -> MediaReceiver:
    old: RTCRtpReceiver = transceiver.receiver
    stream = VideoStream(sink, pool, max_fps) if transceiver.kind == "video" else SoundStream(sink)
    own = MediaReceiver(transceiver.kind, old.transport, stream, clock)
    own._track = old._track  # noqa: SLF001
    own._set_rtcp_ssrc(transceiver.sender._ssrc)  # noqa: SLF001
    setattr(transceiver, RECEIVER_FIELD, own)
    return own


def _what_differs(transceivers: Iterable[RTCRtpTransceiver]) -> str:
    """Why the receivers do not fit; empty if they do."""
    for package, known in KNOWN.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed as a package"
        if not found.startswith(known):
            return f"{package} {found} is not known here, {known}x is"
    for transceiver in transceivers:
        transport = transceiver.receiver.transport
        for holder, fields in (
            (transceiver, (RECEIVER_FIELD,)),
            (transport, TRANSPORT_FIELDS),
            (getattr(transport.transport, "_connection", None), ICE_FIELDS),
        ):
            absent = [field for field in fields if not hasattr(holder, field)]
            if absent:
                return f"{type(holder).__name__} has no {', '.join(absent)}"
    return ""
