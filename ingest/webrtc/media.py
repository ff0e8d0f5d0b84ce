"""A peer's pictures and sound on their way into the session: placed in time, numbered, handed to the intake."""

import asyncio
from collections.abc import Mapping
from typing import Final

from ingest.admission import BYTES_PER_MS
from ingest.clockmap import LiveTimeline
from ingest.connection import Connection
from ingest.edge import Edge
from ingest.intake import BACKPRESSURE_S
from ingest.mailbox import Mailbox, Overflow
from ingest.sessions import Session
from ingest.webrtc.receiving.sink import Picture, SenderReport, Sound
from ingest.webrtc.rtptime import SenderClock, StreamClock
from schemas.media_framing import MediaKind
from schemas.vocabulary import Modality, Outcome

VIDEO_CLOCK_HZ: Final = 90_000
SOUND_WAITING: Final = int(BACKPRESSURE_S * 50)
"""Pieces of 20 ms that wait while the broker stalls: after that the connection is given up anyhow."""

PICTURES_WAITING: Final = 2
GAP_US: Final = 2_500
"""Timestamps that jump by more than this beyond the sound's own length: a packet was lost, or not sent."""


class PeerMedia:
    """Takes what a reception brings (:class:`~ingest.webrtc.receiving.sink.Sink`), in the event loop's thread.

    The edge numbers the items of a peer, as RTP has no numbers that last longer than a connection: on from what the
    session has taken, and not below the milliseconds since its start, so that numbers rise over edges and connections.
    """

    def __init__(self, edge: Edge, session: Session, timeline: LiveTimeline, connection: Connection) -> None:
        self._edge = edge
        self._session = session
        self._timeline = timeline
        self._connection = connection
        sender = SenderClock()
        self._clocks: Mapping[Modality, StreamClock] = {modality: StreamClock(sender) for modality in Modality}
        self._sound: Mailbox[Sound] = Mailbox(SOUND_WAITING, Overflow.KEEP_NEWEST)
        self._pictures: Mailbox[Picture] = Mailbox(PICTURES_WAITING, Overflow.KEEP_NEWEST)
        self._more = {modality: asyncio.Event() for modality in Modality}
        self._sequences: dict[Modality, int] = {}
        self._next_sound_us: int | None = None
        self.heard_us = edge.clock.now_us()
        """When something came last."""

    # the sink

    def picture(self, picture: Picture) -> None:
        """Take a picture; of those that wait the newest are kept."""
        self._edge.metrics.count("bytes_in_total", len(picture.jpeg), modality=Modality.FACE.value)
        if self._pictures.put(picture) is not None:
            self.dropped(Modality.FACE, Outcome.REPLACED_BY_NEWER, 1)
        self._came(Modality.FACE)

    def sound(self, sound: Sound) -> None:
        """Take a piece of sound."""
        self._edge.metrics.count("bytes_in_total", len(sound.pcm), modality=Modality.SPEECH.value)
        if self._sound.put(sound) is not None:
            self.dropped(Modality.SPEECH, Outcome.BROKER_UNAVAILABLE, 1)
        self._came(Modality.SPEECH)

    def dropped(self, modality: Modality, outcome: Outcome, count: int) -> None:
        """Note frames that came, but are not handed on; each takes a number as those do."""
        self.heard_us = self._edge.clock.now_us()
        first = self._number(modality, count)
        self._edge.note(self._session.session_id, modality.value, outcome, first, count)

    def sender_report(self, report: SenderReport) -> None:
        """Learn how a stream lies on the sender's clock."""
        self.heard_us = self._edge.clock.now_us()
        self._clocks[report.modality].report(report.ntp_us, report.timestamp)

    def ended(self, modality: Modality) -> None:
        """No more will come of this modality: nothing is to be done."""

    # to the intake

    async def forward_pictures(self) -> None:
        """Hand pictures on until cancelled; raises Closing."""
        while True:
            await self._coming(Modality.FACE)
            while (picture := self._pictures.take()) is not None:
                captured_us = self._place(Modality.FACE, picture.timestamp, VIDEO_CLOCK_HZ, picture.received_us)
                await self._forward(MediaKind.JPEG, picture.jpeg, captured_us, picture.received_us)

    async def forward_sound(self) -> None:
        """Hand sound on until cancelled; raises Closing."""
        while True:
            await self._coming(Modality.SPEECH)
            while (sound := self._sound.take()) is not None:
                media_us = sound.timestamp * 1_000_000 // sound.clock_rate_hz
                if self._next_sound_us is not None and abs(media_us - self._next_sound_us) > GAP_US:
                    self._number(Modality.SPEECH, 1)  # a hole in the numbers: sound is missing here
                self._next_sound_us = media_us + len(sound.pcm) * 1_000 // BYTES_PER_MS
                captured_us = self._place(Modality.SPEECH, sound.timestamp, sound.clock_rate_hz, sound.received_us)
                await self._forward(MediaKind.PCM16, sound.pcm, captured_us, sound.received_us)

    async def _forward(self, kind: MediaKind, payload: bytes, captured_us: int, received_us: int) -> None:
        modality = Modality.FACE if kind is MediaKind.JPEG else Modality.SPEECH
        sequence = self._number(modality, 1)
        intake = self._connection.intake
        await self._connection.admitting(intake.take_placed(kind, payload, sequence, captured_us, received_us))

    def _place(self, modality: Modality, timestamp: int, clock_rate_hz: int, received_us: int) -> int:
        ahead_us = self._timeline.offset.measured_us
        placed_us = self._clocks[modality].place(timestamp, clock_rate_hz, received_us, ahead_us)
        return self._timeline.place_mapped(modality, placed_us, received_us)

    def _number(self, modality: Modality, count: int) -> int:
        """The first of ``count`` numbers, which are then taken."""
        first = self._sequences.get(modality)
        if first is None:
            since_start_us = self._edge.clock.now_us() - self._session.grant.started_at_us
            first = max(self._session.last_sequence.get(modality, -1) + 1, since_start_us // 1_000)
        self._sequences[modality] = first + count
        return first

    def _came(self, modality: Modality) -> None:
        self.heard_us = self._edge.clock.now_us()
        self._more[modality].set()

    async def _coming(self, modality: Modality) -> None:
        await self._more[modality].wait()
        self._more[modality].clear()
