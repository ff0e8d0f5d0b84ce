"""One media connection of a session, whatever carries it: its life, control messages, notices, acknowledgements.

A transport (a WebSocket, a WebRTC peer) brings messages in with :meth:`Connection.on_binary` and
:meth:`Connection.on_text`, or media that it decoded itself through :attr:`Connection.intake`. What goes out goes
through the ``send`` that it gave. The protocol is described in docs/protocol.md.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeGuard

import orjson

from ingest.admission import Refused
from ingest.edge import BrokerAway, Edge, TooSoon
from ingest.intake import BrokerStalled, Intake, Message, Owed, TooManyRefused
from ingest.sessions import Session, SessionOver
from ingest.wanted import WIRE_NAMES
from runtime.logs import session_tag
from schemas import media_framing
from schemas.close_codes import CloseCode
from schemas.media_framing import HEADER, FramingError
from schemas.records import EndReason
from schemas.vocabulary import Modality, Outcome

log = logging.getLogger(__name__)

MAX_TEXT_BYTES: Final = 4_096
FIRST_PROBES: Final = 5
FIRST_PROBE_S: Final = 0.1
PROBE_S: Final = 5.0
ACK_LIVE_S: Final = 1.0
ACK_RECORDED_S: Final = 0.05
NOTICE_US: Final = 1_000_000

CLOSE_FOR: Final[Mapping[Outcome, CloseCode]] = {
    Outcome.TOO_FAST: CloseCode.TOO_FAST,
    Outcome.TOO_LARGE: CloseCode.TOO_LARGE,
    Outcome.MALFORMED: CloseCode.MALFORMED,
    Outcome.OUT_OF_ORDER: CloseCode.MALFORMED,
    Outcome.NO_CONSENT: CloseCode.FORBIDDEN,
    Outcome.ON_DEVICE: CloseCode.FORBIDDEN,
    Outcome.UNSUPPORTED: CloseCode.MALFORMED,
    Outcome.ERASED: CloseCode.SESSION_ENDED,
}
"""How a connection is closed that sends too many items that are refused for this reason."""

QUIET: Final = frozenset({CloseCode.NORMAL, CloseCode.REPLACED, CloseCode.SESSION_ENDED})
"""Ends that are nobody's fault: neither counted nor logged."""


class Closing(Exception):  # noqa: N818 - it ends the connection, by intent
    """The connection is to be closed."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Connection:
    """Serves one connection of a session until either side closes it."""

    def __init__(self, edge: Edge, session: Session, send: Callable[[str], Awaitable[None]]) -> None:
        """``send`` writes one text message to the client; it may wait for a slow one."""
        self._edge = edge
        self.session = session
        self._send_text = send
        self._client_id = secrets.token_hex(8)
        self.intake = Intake(edge, session, self._notice, self._send)
        self.consent_narrowed = asyncio.Event()
        """Set when consent is withdrawn over this connection, for transports that then stop a track."""
        self._owed: Owed | None = None
        """Of the message that :meth:`offer_binary` dealt with last."""
        self._notices: dict[tuple[str, str], list[int]] = {}
        self._closing: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()

    async def serve(self, *parts: Coroutine[Any, Any, None]) -> Closing | None:
        """Run the transport's parts until one of them returns or raises, or the connection is to be closed.

        Returns why the transport should close, or None if it has ended by itself. A part may raise Closing. A newer
        connection of the same session replaces this one.
        """
        session_id = self.session.session_id
        previous = self._edge.connections.get(session_id)
        if previous is not None:
            previous.replaced()
        self._edge.connections[session_id] = self
        self._edge.sessions.connected(self.session)
        tasks = [asyncio.create_task(part) for part in parts]
        ends: list[asyncio.Future[Any]] = [*tasks, self._closing]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            closing = self._closing.result() if self._closing.done() else None
            for task in tasks:
                if closing is None and task.done():
                    closing = _outcome(task)
            if closing is not None and closing.code not in QUIET:
                self._edge.rejected(closing.code.name.lower())
                log.info("media connection of session %s closed: %s", session_tag(session_id), closing.reason)
            return closing
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._edge.sessions.disconnected(self.session, self._edge.clock.now_us())
            if self._edge.connections.get(session_id) is self:
                del self._edge.connections[session_id]

    def session_ended(self, reason: EndReason) -> None:
        """Close, saying that the session has ended."""
        code = CloseCode.NORMAL if reason == "client_closed" else CloseCode.SESSION_ENDED
        self.close_soon(code, f"the session has ended ({reason})")

    def replaced(self) -> None:
        """Close, saying that a newer connection serves the session."""
        self.close_soon(CloseCode.REPLACED, "a newer connection serves this session")

    def close_soon(self, code: CloseCode, reason: str) -> None:
        """Have :meth:`serve` return this, unless it is to return something else already."""
        if not self._closing.done():
            self._closing.set_result(Closing(code, reason))

    # out

    async def _send(self, message: Message) -> None:
        await self._send_text(orjson.dumps(message).decode())

    async def converse(self) -> None:
        """Welcome the client, then probe its clock and tell it what is safe, until cancelled."""
        session, clock = self.session, self._edge.clock
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
        asked: float | None = None
        while True:
            asking = self._edge.pictures_asked_per_s() if session.grant.timeline == "live" else None
            if asking != asked:
                await self._send({"type": "rate", "video_per_s": asking})
                asked = asking
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
        self.session.timeline.offset.probe_sent(now)
        await self._send({"type": "clock_probe", "server_us": now})

    def _consent(self) -> dict[str, bool]:
        consent = self.session.consent
        return {
            "audio": consent.audio,
            "video": consent.video,
            "store_raw": consent.store_raw,
            "fairness": consent.fairness,
        }

    def _notice(self, code: str, modality: str, sequence: int, message: str) -> Message | None:
        """What to tell the client of a refused item; of many alike, once a second and how many there were."""
        now = self._edge.clock.now_us()
        told = self._notices.setdefault((code, modality), [now - NOTICE_US, 0])
        told[1] += 1
        if now - told[0] < NOTICE_US:
            return None
        count, told[0], told[1] = told[1], now, 0
        return {
            "type": "notice",
            "code": code,
            "modality": modality or None,
            "sequence": sequence,
            "count": count,
            "message": message,
        }

    async def _send_notice(self, code: str, message: str) -> None:
        notice = self._notice(code, "", -1, message)
        if notice is not None:
            await self._send(notice)

    # in

    def offer_binary(self, data: bytes) -> bool:
        """Take features at once, which costs less. False: bring the message to :meth:`on_binary`, before any other.

        Never raises.
        """
        if self._closing.done() or len(data) <= HEADER.size:
            return False
        kind, flags, reserved, sequence, captured_at_us = HEADER.unpack_from(data)
        features = self.intake.features.get(kind)
        if features is None or flags or reserved or not features.free():
            return False
        edge = self._edge
        received_us = edge.clock.now_us()
        edge.bytes_in[features.modality] += len(data)
        try:
            features.way.put(features.admit(data[HEADER.size :], sequence, captured_at_us, received_us))
        except Refused as refused:
            self._owed = self.intake.owed(features.modality, sequence, received_us, refused)
            return self._owed is None
        except Exception as error:  # noqa: BLE001 - whoever awaits on_binary is to have it
            self._owed = Owed(None, error)
            return False
        return True

    async def on_binary(self, data: bytes) -> None:
        """Take one message in the media framing; raises Closing."""
        if self._owed is not None:
            owed, self._owed = self._owed, None
            await self.admitting(self.intake.pay(owed))
            return
        session, edge = self.session, self._edge
        received_us = edge.clock.now_us()
        try:
            media = media_framing.parse(data)
        except FramingError as error:
            edge.note(session.session_id, "", Outcome.MALFORMED)
            raise Closing(CloseCode.MALFORMED, f"malformed media message: {error}") from error
        edge.bytes_in[Modality.SPEECH if media.is_audio else Modality.FACE] += len(data)
        await self.admitting(self.intake.take(media, received_us))

    async def admitting(self, taking: Awaitable[None]) -> None:
        """Await what the intake does; what it gives up on raises Closing."""
        try:
            await taking
        except TooManyRefused as error:
            code = CLOSE_FOR.get(error.refused.outcome, CloseCode.MALFORMED)
            raise Closing(code, str(error)) from error
        except BrokerStalled as error:
            raise Closing(CloseCode.UNAVAILABLE, str(error)) from error

    async def on_text(self, text: str) -> None:
        """Take one control message; raises Closing."""
        received_us = self._edge.clock.now_us()
        try:
            message = orjson.loads(text) if len(text) <= MAX_TEXT_BYTES else None
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._edge.note(self.session.session_id, "", Outcome.MALFORMED)
            raise Closing(CloseCode.MALFORMED, f"a text message must be a JSON object of at most {MAX_TEXT_BYTES} B")
        kind = message.get("type")
        if kind == "clock":
            server_us, client_us = message.get("server_us"), message.get("client_us")
            if not _is_instant(server_us) or not _is_instant(client_us):
                raise Closing(CloseCode.MALFORMED, "clock needs server_us and client_us, whole microseconds")
            self.session.timeline.offset.answered(server_us, client_us, received_us)
        elif kind == "consent":
            await self._on_consent(message, received_us)
        elif kind == "reset_calibration":
            await self._on_reset()
        elif kind == "end":
            self._edge.end_session(self.session.session_id, "client_closed")
        else:
            raise Closing(
                CloseCode.MALFORMED, "unknown type of message: clock, consent, reset_calibration and end are known"
            )

    async def _on_reset(self) -> None:
        edge = self._edge
        try:
            instant = await edge.reset_calibration(self.session.grant)
        except TooSoon as error:
            edge.rejected("too_fast")
            await self._send_notice("too_fast", str(error))
        except BrokerAway as error:
            edge.rejected("broker_unavailable")
            await self._send_notice("broker_unavailable", str(error))
        except SessionOver as error:
            raise Closing(CloseCode.SESSION_ENDED, str(error)) from error
        else:
            await self._send({"type": "calibration_reset", "captured_at_us": instant})

    async def _on_consent(self, message: Mapping[str, Any], received_us: int) -> None:
        """Withdraw consent: what waits of the modality is dropped, and what was sent of it is erased."""
        session, edge = self.session, self._edge
        asked = {scope: message.get(scope) for scope in ("audio", "video", "store_raw", "fairness")}
        if any(value is not None and not isinstance(value, bool) for value in asked.values()):
            raise Closing(CloseCode.MALFORMED, "consent: audio, video, store_raw and fairness are true or false")
        before = session.consent
        if any(asked[scope] and not given for scope, given in self._consent().items()):
            await self._send_notice("consent", "consent can only be withdrawn: start a new session to give more")
        session.consent = before.narrowed(**asked)
        if session.consent == before:
            return
        self.consent_narrowed.set()
        for modality in Modality:
            if not session.consent.allows(modality):
                self.intake.give_up(modality, Outcome.NO_CONSENT)
                if before.allows(modality):
                    await edge.withdraw(session.session_id, modality)
        left = sorted(session.consent.scopes())
        if session.consent.nothing_left():
            edge.event(session, "opt_out", received_us, self._client_id, detail="")
            edge.end_session(session.session_id, "consent_withdrawn")
            return
        edge.event(session, "consent_changed", received_us, self._client_id, detail=" ".join(left))
        # The old token still holds what was withdrawn; a client that reconnects shows the new one.
        withdrawn = before.scopes() - session.consent.scopes()
        session.grant = replace(session.grant, scopes=session.grant.scopes - withdrawn)
        token = edge.tokens.issue(session.grant, issued_at_s=received_us // 1_000_000)
        await self._send({"type": "consent", **self._consent(), "token": token})


def _is_instant(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _outcome(task: asyncio.Task[None]) -> Closing | None:
    """How a finished part of a connection wants it closed; raises what it did not expect."""
    error = task.exception()
    if error is None:
        return None
    if isinstance(error, Closing):
        return error
    raise error
