"""One media WebSocket: framing in, records out. The protocol is described in docs/protocol.md."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from ingest.admission import BYTES_PER_MS, SAMPLE_RATE_HZ, Refused, check_kind
from ingest.clockmap import TimelineError
from ingest.edge import BrokerAway, Edge, TooSoon
from ingest.outbox import Item
from ingest.sessions import Session, SessionOver
from runtime.tokens import Grant
from schemas import media_framing
from schemas.close_codes import CloseCode
from schemas.media_framing import FramingError, MediaKind, MediaMessage
from schemas.records import AudioChunk, EndReason, VideoFrame
from schemas.vocabulary import Modality, Outcome

if TYPE_CHECKING:
    from ingest.opus import OpusDecoder

log = logging.getLogger(__name__)

MAX_TEXT_BYTES: Final = 4_096
FIRST_PROBES: Final = 5
FIRST_PROBE_S: Final = 0.1
PROBE_S: Final = 5.0
ACK_LIVE_S: Final = 1.0
ACK_RECORDED_S: Final = 0.05
NOTICE_US: Final = 1_000_000
BACKPRESSURE_S: Final = 10.0
"""Media waits so long for the broker before the connection is closed."""

WIRE_NAMES: Final[Mapping[Modality, str]] = {Modality.SPEECH: "audio", Modality.FACE: "video"}

CLOSE_FOR: Final[Mapping[Outcome, CloseCode]] = {
    Outcome.TOO_FAST: CloseCode.TOO_FAST,
    Outcome.TOO_LARGE: CloseCode.TOO_LARGE,
    Outcome.MALFORMED: CloseCode.MALFORMED,
    Outcome.OUT_OF_ORDER: CloseCode.MALFORMED,
    Outcome.NO_CONSENT: CloseCode.FORBIDDEN,
}
"""How a connection is closed that sends too many items that are refused for this reason."""


class Closing(Exception):  # noqa: N818 - it ends the connection, by intent
    """The connection is to be closed."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class MediaConnection:
    """Serves one accepted WebSocket of a session until either side closes it."""

    def __init__(self, edge: Edge, session: Session, socket: WebSocket) -> None:
        self._edge = edge
        self._session = session
        self._socket = socket
        self._client_id = secrets.token_hex(8)
        self._outbox = edge.outbox(session)
        self._opus: OpusDecoder | None = None
        self._notices: dict[tuple[str, str], list[int]] = {}
        self._closing: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Take messages; returns when the connection is closed."""
        previous = self._edge.connections.get(self._session.session_id)
        if isinstance(previous, MediaConnection):
            previous._close_soon(CloseCode.REPLACED, "a newer connection serves this session")  # noqa: SLF001
        self._edge.connections[self._session.session_id] = self
        self._edge.sessions.connected(self._session)
        reader = asyncio.create_task(self._read())
        ticker = asyncio.create_task(self._tick())
        ends: list[asyncio.Future[Any]] = [reader, ticker, self._closing]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            closing = self._closing.result() if self._closing.done() else None
            for task in (reader, ticker):
                if closing is None and task.done():
                    closing = _outcome(task)
            if closing is not None:
                if closing.code not in {CloseCode.NORMAL, CloseCode.REPLACED, CloseCode.SESSION_ENDED}:
                    self._edge.rejected(closing.code.name.lower())
                    log.info("media connection of session %s closed: %s", self._session.session_id, closing.reason)
                await close(self._socket, closing.code, closing.reason)
        finally:
            for task in (reader, ticker):
                task.cancel()
            await asyncio.gather(reader, ticker, return_exceptions=True)
            self._edge.sessions.disconnected(self._session, self._edge.clock.now_us())
            if self._edge.connections.get(self._session.session_id) is self:
                del self._edge.connections[self._session.session_id]

    def session_ended(self, reason: EndReason) -> None:
        """Close, saying that the session has ended."""
        code = CloseCode.NORMAL if reason == "client_closed" else CloseCode.SESSION_ENDED
        self._close_soon(code, f"the session has ended ({reason})")

    def _close_soon(self, code: CloseCode, reason: str) -> None:
        if not self._closing.done():
            self._closing.set_result(Closing(code, reason))

    # out

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._socket.send_text(orjson.dumps(message).decode())

    async def _tick(self) -> None:
        """Welcome the client, then probe its clock and tell it what is safe."""
        session, clock = self._session, self._edge.clock
        await self._send(
            {
                "type": "welcome",
                "session_id": session.session_id,
                "timeline": session.grant.timeline,
                "consent": self._consent(),
                "server_us": clock.now_us(),
                "expires_at_s": session.grant.expires_at_s,
                "received": {name: session.last_sequence.get(modality) for modality, name in WIRE_NAMES.items()},
            }
        )
        for _ in range(FIRST_PROBES):
            await self._probe()
            await asyncio.sleep(FIRST_PROBE_S)
        # The sender of a recording waits for acknowledgements; a live one needs them only after a break.
        pause_s = ACK_RECORDED_S if session.grant.timeline == "recorded" else ACK_LIVE_S
        since_probe_s, told = 0.0, None
        while True:
            acknowledged = {name: session.acknowledged.get(modality) for modality, name in WIRE_NAMES.items()}
            if acknowledged != told:
                await self._send({"type": "ack", **acknowledged})
                told = acknowledged
            if since_probe_s >= PROBE_S:
                since_probe_s = 0.0
                await self._probe()
            await asyncio.sleep(pause_s)
            since_probe_s += pause_s

    async def _probe(self) -> None:
        now = self._edge.clock.now_us()
        self._session.timeline.offset.probe_sent(now)
        await self._send({"type": "clock_probe", "server_us": now})

    def _consent(self) -> dict[str, bool]:
        consent = self._session.consent
        return {"audio": consent.audio, "video": consent.video, "store_raw": consent.store_raw}

    async def _notice(self, code: str, modality: str, sequence: int, message: str) -> None:
        """Tell the client of a refused item; of many alike, once a second and how many there were."""
        now = self._edge.clock.now_us()
        told = self._notices.setdefault((code, modality), [now - NOTICE_US, 0])
        told[1] += 1
        if now - told[0] < NOTICE_US:
            return
        count, told[0], told[1] = told[1], now, 0
        await self._send(
            {
                "type": "notice",
                "code": code,
                "modality": modality or None,
                "sequence": sequence,
                "count": count,
                "message": message,
            }
        )

    # in

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") == 1009:  # the server's own limit on a message, far above ours
                    self._edge.note(self._session.session_id, "", Outcome.TOO_LARGE)
                    self._edge.rejected("too_large")
                return
            data = message.get("bytes")
            if data is not None:
                await self._on_media(data)
            else:
                await self._on_text(message.get("text") or "")

    async def _on_media(self, data: bytes) -> None:
        session, edge = self._session, self._edge
        received_us = edge.clock.now_us()
        try:
            media = media_framing.parse(data)
        except FramingError as error:
            edge.note(session.session_id, "", Outcome.MALFORMED)
            raise Closing(CloseCode.MALFORMED, f"malformed media message: {error}") from error
        modality = Modality.SPEECH if media.is_audio else Modality.FACE
        edge.metrics.count("bytes_in_total", len(data), modality=modality.value)
        try:
            item = await self._admit(media, modality, received_us)
        except Refused as refused:
            edge.note(session.session_id, modality.value, refused.outcome, media.sequence)
            await self._notice(refused.outcome.value, WIRE_NAMES[modality], media.sequence, str(refused))
            if not session.admission.tolerates_fault(received_us):
                code = CLOSE_FOR.get(refused.outcome, CloseCode.MALFORMED)
                raise Closing(code, f"too many refused items, lastly: {refused}") from refused
            return
        await self._wait_for_room(item)
        if not session.consent.allows(modality):  # withdrawn while it waited
            edge.note(session.session_id, modality.value, Outcome.NO_CONSENT, media.sequence)
            return
        self._outbox.put(item)

    async def _admit(self, media: MediaMessage, modality: Modality, received_us: int) -> Item:
        """The item to forward; raises Refused. Consent comes first: nothing else looks into what may not be seen."""
        session = self._session
        if not session.consent.allows(modality):
            raise Refused(Outcome.NO_CONSENT, f"no consent was given for {WIRE_NAMES[modality]}")
        session.admission.check_rate(modality, len(media.payload), received_us)
        width, height = check_kind(media.kind, media.payload)
        if media.sequence <= session.last_sequence.get(modality, -1):
            raise Refused(Outcome.OUT_OF_ORDER, "the sequence does not rise")
        try:
            captured_us = session.timeline.place(modality, media.captured_at_us, received_us)
        except TimelineError as error:
            raise Refused(Outcome.MALFORMED, str(error)) from error
        payload = media.payload
        if media.kind is MediaKind.OPUS:
            if self._opus is None:
                self._opus = await asyncio.to_thread(_opus_decoder)
            payload = await asyncio.to_thread(self._opus.decode, media.payload)
        session.in_order(modality, media.sequence)
        if modality is Modality.FACE:
            session.media_end_us = max(session.media_end_us, captured_us)
        else:
            session.media_end_us = max(session.media_end_us, captured_us + len(payload) * 1_000 // BYTES_PER_MS)

        def record(ingested_us: int) -> AudioChunk | VideoFrame:
            if modality is Modality.SPEECH:
                return AudioChunk(
                    captured_at_us=captured_us,
                    received_at_us=received_us,
                    ingested_at_us=ingested_us,
                    sample_rate_hz=SAMPLE_RATE_HZ,
                    sequence=media.sequence,
                    session_id=session.session_id,
                    pcm=payload,
                )
            return VideoFrame(
                captured_at_us=captured_us,
                received_at_us=received_us,
                ingested_at_us=ingested_us,
                width=width,
                height=height,
                sequence=media.sequence,
                session_id=session.session_id,
                jpeg=payload,
            )

        return Item(modality, media.sequence, record)

    async def _wait_for_room(self, item: Item) -> None:
        """Return once there is room: meanwhile nothing is read from the socket, and TCP slows the client down."""
        outbox = self._outbox
        if outbox.room(item.modality):
            return
        try:
            async with asyncio.timeout(BACKPRESSURE_S):
                while not outbox.room(item.modality):
                    outbox.progress.clear()
                    await outbox.progress.wait()
        except TimeoutError as error:
            edge, session_id = self._edge, self._session.session_id
            edge.note(session_id, item.modality.value, Outcome.BROKER_UNAVAILABLE, item.sequence)
            for modality in Modality:
                outbox.give_up(modality, Outcome.BROKER_UNAVAILABLE)
            raise Closing(CloseCode.UNAVAILABLE, "Kafka does not answer: come back later") from error

    async def _on_text(self, text: str) -> None:
        received_us = self._edge.clock.now_us()
        try:
            message = orjson.loads(text) if len(text) <= MAX_TEXT_BYTES else None
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._edge.note(self._session.session_id, "", Outcome.MALFORMED)
            raise Closing(CloseCode.MALFORMED, f"a text message must be a JSON object of at most {MAX_TEXT_BYTES} B")
        kind = message.get("type")
        if kind == "clock":
            server_us, client_us = message.get("server_us"), message.get("client_us")
            if not _is_instant(server_us) or not _is_instant(client_us):
                raise Closing(CloseCode.MALFORMED, "clock needs server_us and client_us, whole microseconds")
            self._session.timeline.offset.answered(server_us, client_us, received_us)
        elif kind == "consent":
            await self._on_consent(message, received_us)
        elif kind == "reset_calibration":
            await self._on_reset()
        elif kind == "end":
            self._edge.end_session(self._session.session_id, "client_closed")
        else:
            raise Closing(
                CloseCode.MALFORMED, "unknown type of message: clock, consent, reset_calibration and end are known"
            )

    async def _on_reset(self) -> None:
        edge = self._edge
        try:
            instant = await edge.reset_calibration(self._session.grant)
        except TooSoon as error:
            edge.rejected("too_fast")
            await self._notice("too_fast", "", -1, str(error))
        except BrokerAway as error:
            edge.rejected("broker_unavailable")
            await self._notice("broker_unavailable", "", -1, str(error))
        except SessionOver as error:
            raise Closing(CloseCode.SESSION_ENDED, str(error)) from error
        else:
            await self._send({"type": "calibration_reset", "captured_at_us": instant})

    async def _on_consent(self, message: Mapping[str, Any], received_us: int) -> None:
        """Withdraw consent; what waits of the modality is dropped, not sent."""
        session, edge = self._session, self._edge
        asked = {scope: message.get(scope) for scope in ("audio", "video", "store_raw")}
        if any(value is not None and not isinstance(value, bool) for value in asked.values()):
            raise Closing(CloseCode.MALFORMED, "consent: audio, video and store_raw are true or false")
        before = session.consent
        if any(asked[scope] and not given for scope, given in self._consent().items()):
            await self._notice("consent", "", -1, "consent can only be withdrawn: start a new session to give more")
        session.consent = before.narrowed(**asked)
        if session.consent == before:
            return
        for modality in Modality:
            if not session.consent.allows(modality):
                self._outbox.give_up(modality, Outcome.NO_CONSENT)
        left = sorted(session.consent.scopes())
        if session.consent.nothing_left():
            edge.event(session, "opt_out", received_us, self._client_id, detail="")
            edge.end_session(session.session_id, "consent_withdrawn")
            return
        edge.event(session, "consent_changed", received_us, self._client_id, detail=" ".join(left))
        # The old token still holds what was withdrawn; a client that reconnects shows the new one.
        withdrawn = before.scopes() - session.consent.scopes()
        session.grant = Grant(
            session_id=session.session_id,
            tenant=session.grant.tenant,
            scopes=session.grant.scopes - withdrawn,
            expires_at_s=session.grant.expires_at_s,
            timeline=session.grant.timeline,
            started_at_us=session.grant.started_at_us,
        )
        token = edge.tokens.issue(session.grant, issued_at_s=received_us // 1_000_000)
        await self._send({"type": "consent", **self._consent(), "token": token})


def _opus_decoder() -> "OpusDecoder":
    from ingest.opus import OpusDecoder  # noqa: PLC0415 - loads FFmpeg's libraries: not before there is Opus to decode

    return OpusDecoder()


def _is_instant(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _outcome(task: asyncio.Task[None]) -> Closing | None:
    """How a finished part of a connection wants it closed; raises what it did not expect."""
    error = task.exception()
    if error is None or isinstance(error, WebSocketDisconnect):
        return None
    if isinstance(error, Closing):
        return error
    raise error


async def close(socket: WebSocket, code: CloseCode, reason: str) -> None:
    """Close with a reason cut to what a close frame holds (123 bytes); a connection that is gone already is fine."""
    short = reason.encode()[:123].decode(errors="ignore")
    try:
        await socket.send({"type": "websocket.close", "code": int(code), "reason": short})
    except (WebSocketDisconnect, RuntimeError):
        return
