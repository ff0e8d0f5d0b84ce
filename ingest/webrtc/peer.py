"""One WebRTC peer of a session: negotiation, its life, its end."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import OperationError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import candidate_to_aioice
from aiortc.sdp import candidate_from_sdp
from OpenSSL import SSL

from ingest.admission import Refused
from ingest.clockmap import LiveTimeline
from ingest.connection import Closing, Connection
from ingest.edge import Edge
from ingest.feed import AvatarFeed
from ingest.sessions import Session
from ingest.webrtc.channels import AVATAR, CONTROL, AvatarChannel, ControlChannel
from ingest.webrtc.datapath import DataPath
from ingest.webrtc.media import PeerMedia
from ingest.webrtc.offer import (
    MAX_CANDIDATES,
    MODALITIES,
    Fragment,
    Offer,
    OfferError,
    new_credentials,
    restart_answer,
    with_baseline,
)
from ingest.webrtc.receiving.pool import MediaPool
from ingest.webrtc.receiving.reception import Reception, receive
from ingest.webrtc.restart import Restart, restartable
from runtime.logs import session_tag
from schemas.close_codes import CloseCode
from schemas.vocabulary import Modality

log = logging.getLogger(__name__)

ANSWER_S: Final = 8.0
"""An answer takes no longer: a STUN server that is silent is given up after 5 s."""

HANDSHAKE_S: Final = 15.0
"""From the answer until media can flow; what a peer holds is freed then."""

SILENCE_US: Final = 8_500_000
"""A peer of which nothing at all has come for so long has vanished. Live ones send connectivity checks every few
seconds at least (RFC 7675, section 5.1), and media all the time."""

LOOK_S: Final = 0.5

ICE_TRANSPORTS: Final = "_RTCPeerConnection__iceTransports"
CODECS: Final = "offer VP8 or H.264 (packetization-mode=1), Opus, PCMU or PCMA, with BUNDLE and rtcp-mux"


class Peer:
    """Serves one peer connection until it closes, vanishes, or is to be closed."""

    def __init__(
        self,
        edge: Edge,
        session: Session,
        timeline: LiveTimeline,
        connection_id: str,
        *,
        pool: MediaPool,
        stun: Iterable[str],
        addresses: list[str],
        feed: Callable[[], Awaitable[AvatarFeed | None]],
    ) -> None:
        """``stun`` are servers that tell this edge its public address, ``addresses`` its own to be offered.

        ``pool`` decodes.
        """
        self.connection_id = connection_id
        self.session = session
        self.failure = ""
        """Why the peer could not be connected, for its owner."""
        self._edge = edge
        self._addresses = addresses
        self._feed = feed
        self._control = ControlChannel()
        self.connection = Connection(edge, session, self._control.send)
        self._media = PeerMedia(edge, session, timeline, self.connection)
        self._avatars: dict[RTCDataChannel, asyncio.Task[None]] = {}
        self._pool = pool
        self._reception: Reception | None = None
        self._offer: Offer | None = None
        self._user_fragment: str | None = None
        """Of the peer's ICE session: the offer's, or the last restart's."""
        self._candidates = 0
        self._restarts = 0
        self._restart: Restart | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self._heard_us = edge.clock.now_us()
        # An empty list: without one, aiortc asks a public STUN server.
        self._rtc = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(url) for url in stun]))
        self._rtc.on("connectionstatechange", self._on_state)
        self._rtc.on("datachannel", self._on_channel)

    async def answer(self, offer: Offer) -> str:
        """The SDP answer; raises OfferError. Call :meth:`close` if it does, :meth:`serve` if not."""
        rtc = self._rtc
        sdp, profile = with_baseline(offer.sdp)
        try:
            await rtc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        except OperationError as error:
            raise OfferError(406, "unsupported_codecs", f"no codec in common: {CODECS}") from error
        except Exception as error:
            raise self._unusable(error) from error
        for transceiver in rtc.getTransceivers():
            if not self._wanted(MODALITIES[transceiver.kind]):
                transceiver.direction = "inactive"
        settings = self._edge.settings
        self._reception = receive(
            rtc,
            self._media,
            self._pool,
            self._edge.clock,
            max_fps=settings.video_max_fps,
            stock=settings.webrtc_receivers == "stock",
        )
        transports = {transceiver.receiver.transport for transceiver in rtc.getTransceivers()}
        if rtc.sctp is not None:
            transports.add(rtc.sctp.transport)
        for transport in transports:
            self._prepare(transport)
        self._offer = offer
        self._user_fragment = offer.user_fragment
        self._candidates = offer.sdp.count("\na=candidate:")
        try:
            async with asyncio.timeout(ANSWER_S):
                await rtc.setLocalDescription(await rtc.createAnswer())
        except TimeoutError as error:
            raise OfferError(503, "unavailable", "no answer could be made in time: try again") from error
        except Exception as error:
            raise self._unusable(error) from error
        answer = str(rtc.localDescription.sdp)
        return re.sub(r"profile-level-id=\w{6}", f"profile-level-id={profile}", answer) if profile else answer

    def _unusable(self, error: Exception) -> OfferError:
        """On hostile text aiortc raises what it happens to; what it says may quote that text."""
        log.info(
            "an offer of session %s cannot be used: %s", session_tag(self.session.session_id), type(error).__name__
        )
        return OfferError(400, "malformed_sdp", f"the offer cannot be used: {CODECS}")

    async def trickle(self, fragment: Fragment) -> None:
        """Take trickled candidates; raises OfferError."""
        assert self._offer is not None
        if fragment.user_fragment is not None and fragment.user_fragment != self._user_fragment:
            raise OfferError(422, "ice_restart", 'candidates of another ICE session: If-Match: "*" begins one')
        restart = self._restart
        for mid, text in fragment.candidates:
            if self._candidates >= MAX_CANDIDATES:
                raise OfferError(429, "too_many_candidates", f"at most {MAX_CANDIDATES} candidates are taken")
            self._candidates += 1
            candidate = candidate_from_sdp(text[len("candidate:") :])
            candidate.sdpMid = self._offer.mids[0] if mid is None else mid
            if restart is not None:
                await restart.add(candidate_to_aioice(candidate))
            else:
                await self._rtc.addIceCandidate(candidate)
        if fragment.complete and self._restarts == 0:
            await self._rtc.addIceCandidate(None)

    @property
    def etag(self) -> str:
        """The entity tag of the peer's ICE session (RFC 9725, section 4.3.1)."""
        return f'"{self.connection_id}.{self._restarts}"' if self._restarts else f'"{self.connection_id}"'

    async def restart(self, fragment: Fragment) -> tuple[str, str]:
        """Restart ICE, in place of a restart that is under way; the fragment that answers, and its entity tag.

        Raises OfferError.
        """
        user_fragment, password = new_credentials(fragment)
        if len(fragment.candidates) > MAX_CANDIDATES:
            raise OfferError(429, "too_many_candidates", f"at most {MAX_CANDIDATES} candidates are taken")
        transports = list(getattr(self._rtc, ICE_TRANSPORTS, ()))
        kept: Any = transports[0]._connection if len(transports) == 1 else None  # noqa: SLF001
        if kept is None or not restartable(kept):
            detail = "ICE can be restarted once connected, with all media bundled: make a new offer to the endpoint"
            raise OfferError(422, "ice_restart", detail)
        if self._restarting is not None:
            self._restarting.cancel()
        restart = Restart(kept, user_fragment, password)
        self._restarts += 1
        etag = self.etag
        self._restart, self._user_fragment, self._candidates = restart, user_fragment, 0
        self._heard_us = self._edge.clock.now_us()
        self._restarting = asyncio.create_task(self._go_over(restart), name=f"ice-restart-{self.connection_id}")
        await self.trickle(fragment)
        return restart_answer(self._rtc.localDescription.sdp, restart.user_fragment, restart.password), etag

    async def _go_over(self, restart: Restart) -> None:
        tag = session_tag(self.session.session_id)
        try:
            over = await restart.run()
            log.info(
                "session %s: ICE restart of %s: %s", tag, self.connection_id, "done" if over else "came to nothing"
            )
        finally:
            if self._restart is restart:
                self._restart = None

    async def serve(self) -> None:
        """Returns when the peer has gone, and its resources are freed."""
        closing: Closing | None = None
        try:
            closing = await self.connection.serve(
                self._watch_over(),
                self._stop_withdrawn(),
                self._media.forward(Modality.FACE),
                self._media.forward(Modality.SPEECH),
                self._control.read(self.connection),
                self._control.converse(self.connection),
            )
        finally:
            self._media.finish()
            if closing is not None:
                await self._control.close(closing.code, closing.reason)
            await self.close()

    async def close(self) -> None:
        """Free what the peer holds."""
        for task in self._avatars.values():
            task.cancel()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        await asyncio.gather(*self._avatars.values(), return_exceptions=True)
        if self._reception is not None:
            await self._reception.close()
        try:
            await self._rtc.close()
        except Exception:
            # Half made by an offer that could not be used: what it holds is freed one by one.
            log.info("peer %s does not close as it should", self.connection_id, exc_info=True)
            for transport in list(getattr(self._rtc, ICE_TRANSPORTS, ())):
                await transport.stop()

    def _wanted(self, modality: Modality) -> bool:
        try:
            self.connection.intake.check_wanted(modality)
        except Refused:
            return False
        return True

    def _prepare(self, transport: RTCDtlsTransport) -> None:
        """Have ICE offer our addresses, note whatever is heard, and keep why DTLS fails: aiortc tells none of these."""
        ice: Any = transport.transport._connection  # noqa: SLF001
        gather, take_data, take_check = ice.get_component_candidates, ice.data_received, ice.request_received

        async def gather_ours(component: int, addresses: list[str], timeout: int = 5) -> Any:  # noqa: ASYNC109
            del addresses
            return await gather(component=component, addresses=self._addresses, timeout=timeout)

        def data_received(*arguments: Any) -> None:
            self._heard_us = self._edge.clock.now_us()
            take_data(*arguments)

        def request_received(*arguments: Any) -> None:
            self._heard_us = self._edge.clock.now_us()
            if self._restart is None or not self._restart.take(*arguments):
                take_check(*arguments)

        ice.get_component_candidates = gather_ours
        ice.data_received = data_received
        ice.request_received = request_received
        shake_hands = transport._do_handshake  # noqa: SLF001

        async def do_handshake() -> None:
            ssl: Any = transport._ssl  # noqa: SLF001
            step = ssl.do_handshake

            def watched() -> None:
                try:
                    step()
                except SSL.WantReadError:
                    raise
                except SSL.Error as error:
                    self.failure = f"the DTLS handshake failed: {_reason(error)}"
                    raise

            ssl.do_handshake = watched
            await shake_hands()

        transport._do_handshake = do_handshake  # type: ignore[method-assign]  # noqa: SLF001

    def _on_state(self) -> None:
        state = self._rtc.connectionState
        if state == "connected":
            self._connected.set()
        elif state in {"failed", "closed"}:
            self._gone.set()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == CONTROL:
            self._control.attach(channel)
        elif channel.label == AVATAR and not self._avatars and "watch" in self.session.grant.scopes:
            avatar = AvatarChannel(channel, self._edge.clock, self._send_at_once)
            expires_at_us = self.session.grant.expires_at_s * 1_000_000
            self._avatars[channel] = asyncio.create_task(
                self._show(avatar, channel, expires_at_us), name=f"avatar-{self.connection_id}"
            )
        else:
            channel.close()

    def _send_at_once(self, channel: RTCDataChannel, message: str | bytes) -> bool:
        if self._edge.settings.webrtc_receivers == "stock" or self._rtc.sctp is None:
            return False
        path = DataPath.of(self._rtc.sctp.transport)
        return path is not None and path.send(channel, message)

    async def _show(self, avatar: AvatarChannel, channel: RTCDataChannel, expires_at_us: int) -> None:
        try:
            await avatar.serve(self._feed, self.session.session_id, expires_at_us, self.session.grant.variant)
        except Exception:
            log.exception("the avatar channel of session %s failed", session_tag(self.session.session_id))
            avatar.close(CloseCode.UNAVAILABLE, "the avatar cannot be shown now")
            channel.close()
        finally:
            self._avatars.pop(channel, None)

    # parts of its life

    async def _stop_withdrawn(self) -> None:
        narrowed = self.connection.consent_narrowed
        while True:
            await narrowed.wait()
            narrowed.clear()
            for modality in Modality:
                if self._reception is not None and not self._wanted(modality):
                    await self._reception.stop(modality)

    async def _watch_over(self) -> None:
        """Return when the peer has gone, or was not there in time."""
        edge, session_id = self._edge, self.session.session_id
        tag = session_tag(session_id)
        await _first(self._connected, self._gone, timeout_s=HANDSHAKE_S)
        if not self._connected.is_set():
            if not self.failure:
                late = not self._gone.is_set()
                state = self._rtc.iceConnectionState
                self.failure = f"no connection within {HANDSHAKE_S:g} s" if late else "no connection"
                self.failure += f" (ICE {state}): is UDP open between client and edge, or a TURN server set?"
            edge.rejected("handshake")
            log.warning("peer %s of session %s: %s", self.connection_id, tag, self.failure)
            return
        log.info("session %s: WebRTC peer %s is connected", tag, self.connection_id)
        self._heard_us = edge.clock.now_us()
        while not self._gone.is_set():
            await _first(self._gone, timeout_s=LOOK_S)
            silent_us = edge.clock.now_us() - max(self._heard_us, self._media.heard_us)
            if silent_us > SILENCE_US:
                edge.rejected("vanished")
                log.info("peer %s of session %s has vanished", self.connection_id, tag)
                edge.end_session(session_id, "idle")
                return


async def _first(*events: asyncio.Event, timeout_s: float) -> None:
    """Return when one of the events is set, or the time is over."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words: each entry of its queue is library, function, reason."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in entries) or "for no reason that OpenSSL tells"
