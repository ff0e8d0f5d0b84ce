"""A peer's pictures and sound on their way into the session: placed in time, numbered, handed to the intake."""

import asyncio
from collections.abc import Mapping
from typing import Final

from ingest.admission import BYTES_PER_MS, MAX_CHUNK_MS, Refused
from ingest.clockmap import LiveTimeline
from ingest.connection import Connection
from ingest.edge import Edge
from ingest.features import HOP_US
from ingest.intake import BACKPRESSURE_S, Placed
from ingest.mailbox import Mailbox, Overflow
from ingest.sessions import Session
from ingest.webrtc.receiving.sink import Picture, SenderReport, Sound
from ingest.webrtc.rtptime import SenderClock, StreamClock
from schemas.vocabulary import Modality, Outcome

VIDEO_CLOCK_HZ: Final = 90_000
WAITING: Final[Mapping[Modality, int]] = {Modality.FACE: 2, Modality.SPEECH: int(BACKPRESSURE_S * 50)}
"""Sound: pieces of 20 ms that wait while the broker stalls; after that the connection is given up anyhow."""

OVERFLOW: Final[Mapping[Modality, Outcome]] = {
    Modality.FACE: Outcome.REPLACED_BY_NEWER,
    Modality.SPEECH: Outcome.BROKER_UNAVAILABLE,
}
GAP_US: Final = 2_500
"""Timestamps that jump by more than this beyond the sound's own length: a packet was lost, or not sent."""

NEAR_US: Final = 2_000
"""Workers count samples where the edge goes by stamps: so close to a hop's end it is left to them where it lies."""


class PeerMedia:
    """Takes what a reception brings (:class:`~ingest.webrtc.receiving.sink.Sink`), in the event loop's thread.

    The edge numbers the items of a peer, as RTP has no numbers that last longer than a connection: on from what the
    session has taken, and not below the milliseconds since its start, so that numbers rise over edges and connections.

    Sound that completes no hop of the workers (they end every 40 ms) is of no use to them yet: it waits for the piece
    that follows it, and both are one record.
    """

    def __init__(self, edge: Edge, session: Session, timeline: LiveTimeline, connection: Connection) -> None:
        self._edge = edge
        self._session = session
        self._timeline = timeline
        self._connection = connection
        sender = SenderClock()
        self._clocks: Mapping[Modality, StreamClock] = {modality: StreamClock(sender) for modality in Modality}
        self._waiting: Mapping[Modality, Mailbox[Placed]] = {
            modality: Mailbox(WAITING[modality], Overflow.KEEP_NEWEST) for modality in Modality
        }
        self._more = {modality: asyncio.Event() for modality in Modality}
        self._busy: set[Modality] = set()
        """Of which something waits for room: what comes must not overtake it."""
        self._sequences: dict[Modality, int] = {}
        self._held: tuple[bytes, int, int] | None = None
        """Sound, when it was captured, and when it was received."""
        self._next_sound_us: int | None = None
        self._bytes_in = {
            modality: edge.metrics.counter("bytes_in_total", modality=modality.value) for modality in Modality
        }
        self.heard_us = edge.clock.now_us()
        """When something came last."""

    # the sink

    def picture(self, picture: Picture) -> None:
        """Take a picture; of those that wait the newest are kept."""
        self.heard_us = self._edge.clock.now_us()
        self._bytes_in[Modality.FACE](len(picture.jpeg))
        captured_us = self._place(Modality.FACE, picture.timestamp, VIDEO_CLOCK_HZ, picture.received_us)
        self._hand_on(Modality.FACE, picture.jpeg, captured_us, picture.received_us)

    def sound(self, sound: Sound) -> None:
        """Take a piece of sound."""
        self.heard_us = self._edge.clock.now_us()
        pcm = sound.pcm
        self._bytes_in[Modality.SPEECH](len(pcm))
        media_us = sound.timestamp * 1_000_000 // sound.clock_rate_hz
        if self._next_sound_us is not None and abs(media_us - self._next_sound_us) > GAP_US:
            self._release()
            self._number(Modality.SPEECH, 1)  # a hole in the numbers: sound is missing here
        self._next_sound_us = media_us + len(pcm) * 1_000 // BYTES_PER_MS
        captured_us = self._place(Modality.SPEECH, sound.timestamp, sound.clock_rate_hz, sound.received_us)
        if self._held is not None:
            if len(self._held[0]) + len(pcm) <= MAX_CHUNK_MS * BYTES_PER_MS:
                pcm, captured_us = self._held[0] + pcm, self._held[1]
                self._held = None
            else:
                self._release()
        if completes_hop(captured_us, captured_us + len(pcm) * 1_000 // BYTES_PER_MS):
            self._hand_on(Modality.SPEECH, pcm, captured_us, sound.received_us)
        else:
            self._held = pcm, captured_us, sound.received_us

    def dropped(self, modality: Modality, outcome: Outcome, count: int) -> None:
        """Note frames that came, but are not handed on; each takes a number as those do."""
        self.heard_us = self._edge.clock.now_us()
        first = self._number(modality, count)
        self._edge.note(self._session.session_id, modality.value, outcome, first, count)

    def sender_report(self, report: SenderReport) -> None:
        """Learn how a stream lies on the sender's clock."""
        self.heard_us = self._edge.clock.now_us()
        self._clocks[report.modality].report(report.ntp_us, report.timestamp)

    def heard(self) -> None:
        """The peer said something that is no media."""
        self.heard_us = self._edge.clock.now_us()

    def ended(self, modality: Modality) -> None:
        """No more will come of this modality."""
        if modality is Modality.SPEECH:
            self._release()

    # to the intake

    async def forward(self, modality: Modality) -> None:
        """Hand on what had to wait, until cancelled; raises Closing."""
        waiting, more = self._waiting[modality], self._more[modality]
        while True:
            await more.wait()
            more.clear()
            self._busy.add(modality)
            while (media := waiting.take()) is not None:
                await self._connection.admitting(self._connection.intake.take_placed(media))
            self._busy.discard(modality)

    def finish(self) -> None:
        """The connection is over: hand on what waits if it is taken at once, else note why not."""
        self._release()
        for modality, waiting in self._waiting.items():
            for media in waiting.empty():
                outcome = OVERFLOW[modality]
                try:
                    if self._connection.intake.offer_placed(media):
                        continue
                except Refused as refused:
                    outcome = refused.outcome
                self._edge.note(self._session.session_id, modality.value, outcome, media.sequence)

    def _release(self) -> None:
        """Hand on the sound that waits for what follows it."""
        if self._held is not None:
            held, self._held = self._held, None
            self._hand_on(Modality.SPEECH, *held)

    def _hand_on(self, modality: Modality, payload: bytes, captured_us: int, received_us: int) -> None:
        media = Placed(modality, payload, self._number(modality, 1), captured_us, received_us)
        waiting = self._waiting[modality]
        if not len(waiting) and modality not in self._busy:
            try:
                if self._connection.intake.offer_placed(media):
                    return
            except Refused:
                pass  # the slow way tells the client
        replaced = waiting.put(media)
        if replaced is not None:
            self._edge.note(self._session.session_id, modality.value, OVERFLOW[modality], replaced.sequence)
        self._more[modality].set()

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


def completes_hop(begin_us: int, end_us: int) -> bool:
    """Whether sound of this span may complete a hop of the speech workers' grid, multiples of 40 ms since the epoch."""
    return (end_us + NEAR_US) // HOP_US > (begin_us - NEAR_US) // HOP_US
