"""What a client sends becomes records for the log: consent first, then rates, form, order, time and the outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ingest.admission import BYTES_PER_MS, SAMPLE_RATE_HZ, Refused, check_kind
from ingest.clockmap import TimelineError
from ingest.edge import Edge
from ingest.feature_intake import FeatureIntake
from ingest.outbox import Item
from ingest.sessions import Session
from ingest.wanted import WIRE_NAMES, check_consent, check_headroom
from runtime.keystore import PURPOSE_OF
from runtime.sealing import media_binding
from schemas.media_framing import MediaKind, MediaMessage
from schemas.records import AudioChunk, VideoFrame
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO
from schemas.vocabulary import Modality, Outcome

if TYPE_CHECKING:
    from ingest.opus import OpusDecoder

BACKPRESSURE_S: Final = 10.0
"""Media waits so long for the broker before the connection is given up."""

FEATURES: Final[Mapping[MediaKind, Modality]] = {
    MediaKind.FACE_FEATURES: Modality.FACE,
    MediaKind.SPEECH_FEATURES: Modality.SPEECH,
}

Message = Mapping[str, Any]
"""A control message."""
Notice = Callable[[str, str, int, str], Message | None]
"""What to tell the client of a refused item, if anything: code, modality, sequence, message."""


class BrokerStalled(Exception):  # noqa: N818 - a condition
    """The broker has taken nothing for so long that media is given up."""


class TooManyRefused(Exception):  # noqa: N818 - a condition
    """The client goes on sending items that are refused; ``refused`` is the last one."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"too many refused items, lastly: {refused}")
        self.refused = refused


class Owed(NamedTuple):
    """What is left to do about an item that was refused: tell the client, end the connection."""

    notice: Message | None
    error: Exception | None


class Placed(NamedTuple):
    """A JPEG or PCM16 with its times on the edge's clock."""

    modality: Modality
    payload: bytes
    sequence: int
    captured_us: int
    received_us: int


class Intake:
    """Admits the media of one connection and seals it. Every item gets exactly one outcome in the ledger."""

    def __init__(
        self, edge: Edge, session: Session, notice: Notice, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self._edge = edge
        self._session = session
        self._notice = notice
        self._send = send
        self._outbox = edge.outbox(session)
        self.features: Mapping[int, FeatureIntake] = {
            kind: FeatureIntake(edge, session, self._outbox, modality) for kind, modality in FEATURES.items()
        }
        """By the kind of message."""
        self._opus: OpusDecoder | None = None

    def check_wanted(self, modality: Modality) -> None:
        """Raise Refused unless raw media of this modality may be taken now."""
        check_consent(self._session, modality)
        if self._session.on_device(modality):
            msg = f"{modality} is analysed on the device in this session: no {WIRE_NAMES[modality]} is taken"
            raise Refused(Outcome.ON_DEVICE, msg)

    async def take(self, media: MediaMessage, received_us: int) -> None:
        """Admit and forward one framed item, times on the client's clock; returns once there is room for it.

        Raises TooManyRefused and BrokerStalled.
        """
        modality = Modality.SPEECH if media.is_audio else Modality.FACE
        if not media.is_features:
            admission = self._admit(media, modality, received_us)
            await self._settle(modality, media.sequence, received_us, admission, self.check_wanted)
            return
        features = self.features[media.kind]
        try:
            item = features.admit(media.payload, media.sequence, media.captured_at_us, received_us)
        except Refused as refused:
            await self._refuse(modality, media.sequence, received_us, refused)
            return
        if not features.room():
            await self._wait_for_room(item, features.room)
            try:
                features.check_wanted()
            except Refused as refused:  # withdrawn while it waited
                self._edge.note(self._session.session_id, modality.value, refused.outcome, media.sequence)
                return
        self._outbox.put(item)

    async def pay(self, owed: Owed) -> None:
        """Tell the client what is owed to it; raises the error that is to end the connection."""
        if owed.notice is not None:
            await self._send(owed.notice)
        if owed.error is not None:
            raise owed.error

    async def take_placed(self, media: Placed) -> None:
        """The same for media that this edge decoded itself and timed on its own clock."""
        modality, received_us = media.modality, media.received_us
        await self._settle(modality, media.sequence, received_us, self._admit_placed(media), self.check_wanted)

    def offer_placed(self, media: Placed) -> bool:
        """The same at once, which costs less; False, and nothing is done, where there is no room. Raises Refused.

        What is refused is not noted here: :meth:`take_placed` does so, and tells the client.
        """
        if not self._outbox.room(media.modality):
            return False
        self._outbox.put(self._placed(media))
        return True

    def give_up(self, modality: Modality, outcome: Outcome) -> None:
        """Drop what waits of a modality, with this outcome."""
        self._outbox.give_up(modality, outcome)

    async def _settle(
        self,
        modality: Modality,
        sequence: int,
        received_us: int,
        admission: Awaitable[Item],
        check: Callable[[Modality], None],
    ) -> None:
        session, edge = self._session, self._edge
        try:
            item = await admission
        except Refused as refused:
            await self._refuse(modality, sequence, received_us, refused)
            return
        await self._wait_for_room(item, self._outbox.ways[modality].room)
        try:
            check(modality)
        except Refused as refused:  # withdrawn while it waited
            edge.note(session.session_id, modality.value, refused.outcome, sequence)
            return
        self._outbox.put(item)

    async def _refuse(self, modality: Modality, sequence: int, received_us: int, refused: Refused) -> None:
        """Note what was refused, and tell the client; raises TooManyRefused."""
        owed = self.owed(modality, sequence, received_us, refused)
        if owed is not None:
            await self.pay(owed)

    def owed(self, modality: Modality, sequence: int, received_us: int, refused: Refused) -> Owed | None:
        """Note what was refused; returns what is left to do then, for :meth:`pay`."""
        self._edge.note(self._session.session_id, modality.value, refused.outcome, sequence)
        notice = self._notice(refused.outcome.value, WIRE_NAMES[modality], sequence, str(refused))
        # That a busy edge takes less is no fault of the client's.
        borne = refused.outcome is Outcome.SHED or self._session.admission.tolerates_fault(received_us)
        if notice is None and borne:
            return None
        return Owed(notice, None if borne else TooManyRefused(refused))

    async def _admit(self, media: MediaMessage, modality: Modality, received_us: int) -> Item:
        """The item to forward; raises Refused. Consent comes first: nothing else looks into what may not be seen."""
        session = self._session
        size = self._check(media.kind, modality, media.payload, media.sequence, received_us)
        try:
            captured_us = session.timeline.place(modality, media.captured_at_us, received_us)
        except TimelineError as error:
            raise Refused(Outcome.MALFORMED, str(error)) from error
        payload = media.payload
        if media.kind is MediaKind.OPUS:
            if self._opus is None:
                self._opus = await asyncio.to_thread(_opus_decoder)
            payload = await asyncio.to_thread(self._opus.decode, media.payload)
        return self._item(
            modality, payload, size, sequence=media.sequence, captured_us=captured_us, received_us=received_us
        )

    async def _admit_placed(self, media: Placed) -> Item:
        return self._placed(media)

    def _placed(self, media: Placed) -> Item:
        modality, payload = media.modality, media.payload
        kind = MediaKind.JPEG if modality is Modality.FACE else MediaKind.PCM16
        size = self._check(kind, modality, payload, media.sequence, media.received_us)
        return self._item(
            modality,
            payload,
            size,
            sequence=media.sequence,
            captured_us=media.captured_us,
            received_us=media.received_us,
        )

    def _check(
        self, kind: MediaKind, modality: Modality, payload: bytes, sequence: int, received_us: int
    ) -> tuple[int, int]:
        """Width and height, (0, 0) of sound; raises Refused."""
        self.check_wanted(modality)
        check_headroom(self._edge, self._session, modality, received_us)
        self._session.admission.check_rate(modality, len(payload), received_us)
        size = check_kind(kind, payload)
        if sequence <= self._session.last_sequence.get(modality, -1):
            raise Refused(Outcome.OUT_OF_ORDER, "the sequence does not rise")
        return size

    def _item(
        self,
        modality: Modality,
        payload: bytes,
        size: tuple[int, int],
        *,
        sequence: int,
        captured_us: int,
        received_us: int,
    ) -> Item:
        session, encode = self._session, self._edge.codec.encode
        seal = self._edge.keys.made(session.session_id, PURPOSE_OF[modality])
        if seal is None:
            raise Refused(Outcome.ERASED, f"{WIRE_NAMES[modality]} of this session was erased")
        session.in_order(modality, sequence)
        bound_to = media_binding(session.session_id, modality, sequence)
        length_us = 0 if modality is Modality.FACE else len(payload) * 1_000 // BYTES_PER_MS
        session.media_end_us = max(session.media_end_us, captured_us + length_us)

        def chunk(ingested_us: int) -> bytes:
            return encode(
                AudioChunk(
                    captured_at_us=captured_us,
                    received_at_us=received_us,
                    ingested_at_us=ingested_us,
                    sample_rate_hz=SAMPLE_RATE_HZ,
                    sequence=sequence,
                    session_id=session.session_id,
                    pcm=seal.seal(payload, bound_to),
                    sealed=True,
                )
            )

        def picture(ingested_us: int) -> bytes:
            return encode(
                VideoFrame(
                    captured_at_us=captured_us,
                    received_at_us=received_us,
                    ingested_at_us=ingested_us,
                    width=size[0],
                    height=size[1],
                    sequence=sequence,
                    session_id=session.session_id,
                    jpeg=seal.seal(payload, bound_to),
                    sealed=True,
                )
            )

        if modality is Modality.SPEECH:
            return Item(modality, sequence, MEDIA_AUDIO, chunk)
        return Item(modality, sequence, MEDIA_VIDEO, picture)

    async def _wait_for_room(self, item: Item, room: Callable[[], bool]) -> None:
        """Return once there is room: meanwhile the transport reads nothing, and TCP slows a client of its own down."""
        outbox = self._outbox
        if room():
            return
        try:
            async with asyncio.timeout(BACKPRESSURE_S):
                while not room():
                    outbox.progress.clear()
                    await outbox.progress.wait()
        except TimeoutError as error:
            self._edge.note(self._session.session_id, item.modality.value, Outcome.BROKER_UNAVAILABLE, item.sequence)
            for modality in Modality:
                outbox.give_up(modality, Outcome.BROKER_UNAVAILABLE)
            raise BrokerStalled("Kafka does not answer: come back later") from error


def _opus_decoder() -> "OpusDecoder":
    from ingest.opus import OpusDecoder  # noqa: PLC0415 - loads FFmpeg's libraries: not before there is Opus to decode

    return OpusDecoder()
