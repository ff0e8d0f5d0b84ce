"""A session: its media to the service, its frames back.

.. code-block:: python

    async with await Session.create("http://127.0.0.1:8420", audio=True, video=True) as session:
        await session.send_audio(pcm)  # 20 to 60 ms of PCM16 mono at 16 kHz
        await session.send_jpeg(jpeg)  # at most 100 kB
        async for message in session.watch():
            if message["type"] == "avatar_frame":
                ...
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from client.errors import ClientError, ConnectionRefused, SessionRefused
from client.lanes import LIVE_AUDIO_MESSAGES, LIVE_VIDEO_MESSAGES, RECORDED_MESSAGES, Lane, LaneCounts
from client.pace import Pace
from client.places import Places, keeping_alive
from client.trust import of, trusted
from client.watch import watch
from schemas.close_codes import FINAL, CloseCode
from schemas.features import face_payload, speech_payload
from schemas.fusion_config import MappingName
from schemas.media_framing import MediaKind
from schemas.records import FaceSignal, SpeechSignal, Timeline

log = logging.getLogger(__name__)

DEFAULT_SERVER: Final = "http://127.0.0.1:8420"
"""Where a demo on this machine has its ingest edge."""

FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 1.0
PROBE_WAIT_S: Final = 1.0
"""Media waits so long for the edge to ask for this clock."""

MAX_PICTURE_BYTES: Final = 100_000
HTTP_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Opened:
    """What the service answered when the session was made."""

    session_id: str
    token: str
    expires_at_s: int
    media_url: str
    avatar_url: str | None


def wall_clock_us() -> int:
    """Microseconds since the Unix epoch on this machine's clock."""
    return time.time_ns() // 1_000


class Session:
    """One session. Make it with :meth:`create`; leaving the ``async with`` block ends it.

    The media connection is kept up in the background: when it breaks, it is made anew with the same token, sequences
    go on, and sound that the service had not acknowledged is sent again. Not thread-safe: use it in one event loop.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        opened: Opened,
        timeline: Timeline,
        clock: Callable[[], int] = wall_clock_us,
        *,
        egress: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.servers = (server,) if isinstance(server, str) else tuple(server)
        self._tls = trusted() if tls is None else tls
        self.opened = opened
        self._egress = tuple(egress)
        self._places = Places(opened.media_url, self.servers if len(self.servers) > 1 else ())
        self.timeline = timeline
        self.notices: list[Mapping[str, Any]] = []
        """The latest notices of the service, for instance of refused items; at most 100."""
        self._token = opened.token
        self._clock = clock
        live = timeline == "live"
        self._audio = Lane(
            LIVE_AUDIO_MESSAGES if live else RECORDED_MESSAGES,
            "drop_oldest" if live else "wait",
            keep_unacknowledged=True,
        )
        self._video = Lane(
            LIVE_VIDEO_MESSAGES if live else RECORDED_MESSAGES,
            "drop_oldest" if live else "wait",
            keep_unacknowledged=not live,
        )
        self._pace = Pace()
        self.pictures_skipped = 0
        """Pictures that were not sent because the service, which is busy, asked for fewer."""
        self._says: list[str] = []
        self._work = asyncio.Event()
        self._progress = asyncio.Event()
        self._connected = asyncio.Event()
        self._probed = asyncio.Event()
        self._ended = asyncio.Event()
        self._ending = False
        self.reconnects = -1
        self._link: asyncio.Task[None] | None = None

    @classmethod
    async def create(
        cls,
        server: str | Sequence[str],
        *,
        egress: Sequence[str] = (),
        audio: bool = False,
        video: bool = False,
        store_raw: bool = False,
        fairness: bool = False,
        timeline: Timeline = "live",
        mapping: MappingName = "blend",
        parameters: Mapping[str, float] | None = None,
        calibration: Mapping[str, Mapping[str, float]] | None = None,
        subject: str | None = None,
        group: str | None = None,
        experiments: bool = True,
        face_on_device: bool = False,
        speech_on_device: bool = False,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], int] = wall_clock_us,
    ) -> "Session":
        """Start a session with the consent given (``audio``, ``video``, ``store_raw``: none by default).

        ``server`` is the ingest edge's address, for instance ``http://127.0.0.1:8420``; with several, the session goes
        on at the next one when one is lost (``egress``: the same for its frames). ``timeline`` "live": times are
        the machine's clock; "recorded": times are those of the recording from 0, and the speed of sending is free.
        ``calibration`` is what is known of the person's face: "au_neutral" and "au_gain" by Action Unit, for instance
        {"au_neutral": {"AU04": 0.2}}; without it, the neutral face is learned. ``face_on_device`` and
        ``speech_on_device``: you analyse that yourself, and send :meth:`send_face` and :meth:`send_speech` instead of
        media, which the service then refuses. ``group``: what the person says to belong to, taken only with consent to
        ``fairness``: that errors are compared between groups. ``experiments``: the service may give the session a
        variant of an experiment. ``token`` has the scope "create" of your tenant; None where anybody may start
        sessions. ``tls`` says which servers are trusted: those of the system, or of SSL_CERT_FILE, unless it is given.
        Raises SessionRefused, or httpx.HTTPError if the service cannot be reached.
        """
        body = {
            "consent": {"audio": audio, "video": video, "store_raw": store_raw, "fairness": fairness},
            "timeline": timeline,
            "mapping": mapping,
            "parameters": dict(parameters or {}),
            "calibration": None if calibration is None else {name: dict(aus) for name, aus in calibration.items()},
            "subject": subject,
            "group": group,
            "experiments": experiments,
            "on_device": {"face": face_on_device, "speech": speech_on_device},
        }
        servers = (server,) if isinstance(server, str) else tuple(server)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = await _ask(servers, "POST", "/v1/sessions", tls, json=body, headers=headers)
        if answer.status_code != 201:
            raise _refusal(answer)
        found = answer.json()
        opened = Opened(**{name: found[name] for name in Opened.__dataclass_fields__})
        return cls(servers, opened, timeline, clock, egress=egress, tls=tls)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.opened.session_id

    @property
    def token(self) -> str:
        """The token to show; consent that was withdrawn is no longer in it."""
        return self._token

    @property
    def audio_counts(self) -> LaneCounts:
        """What became of the sound so far."""
        return self._audio.counts

    @property
    def video_counts(self) -> LaneCounts:
        """What became of the pictures so far."""
        return self._video.counts

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.end()
        else:
            await self.close()

    async def connect(self, *, deadline_s: float = 20.0) -> None:
        """Return once the media connection stands.

        Raises ConnectionRefused if the service does not want it, ClientError if it cannot be reached in time.
        """
        if self._link is None:
            self._link = asyncio.create_task(self._keep_connected())
        waiting = asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait((waiting, self._link), timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            if not self._connected.is_set():
                await self.close()
                raise ClientError(f"{self._places.url} could not be reached within {deadline_s:g} s")
        finally:
            waiting.cancel()

    async def send_audio(self, pcm: bytes, captured_at_us: int | None = None) -> int:
        """Send 20 to 60 ms of PCM16 mono at 16 kHz; returns its sequence.

        ``captured_at_us`` is the instant of the first sample (default: the chunk ends now). Live: at most 10 s are
        held while the connection is away, then the oldest is given up and counted. Recorded: waits for room.
        Raises ConnectionRefused if the connection was closed for good.
        """
        if captured_at_us is None:
            captured_at_us = self._clock() - len(pcm) * 1_000_000 // 32_000
        return await self._put(self._audio, MediaKind.PCM16, captured_at_us, pcm)

    async def send_opus(self, packet: bytes, captured_at_us: int) -> int:
        """Send an Opus packet of 20 to 60 ms, mono or stereo; otherwise like :meth:`send_audio`."""
        return await self._put(self._audio, MediaKind.OPUS, captured_at_us, packet)

    async def send_jpeg(self, jpeg: bytes, captured_at_us: int | None = None) -> int:
        """Send a picture of at most 100 kB; returns its sequence, or -1 if the service wants no picture now.

        Live: a picture that waits gives way to this one, and is counted; while the service is busy it asks for fewer
        (``pictures_skipped``). Recorded: waits for room.
        Raises ConnectionRefused if the connection was closed for good, ValueError if the picture is too large.
        """
        if len(jpeg) > MAX_PICTURE_BYTES:
            raise ValueError(f"a picture of {len(jpeg)} bytes: at most {MAX_PICTURE_BYTES} are taken")
        return await self._put_picture(MediaKind.JPEG, captured_at_us, jpeg)

    async def send_face(
        self, signal: FaceSignal, *, engine: str, captured_at_us: int | None = None, inference_us: int = 0
    ) -> int:
        """Send what you found in a picture instead of the picture; otherwise like :meth:`send_jpeg`.

        ``engine`` is ``name@version`` of what found it, ``inference_us`` how long after the capture it was found.
        Raises ValueError if a field does not fit; the service checks the rest.
        """
        payload = face_payload(signal, engine=engine, inference_us=inference_us)
        return await self._put_picture(MediaKind.FACE_FEATURES, captured_at_us, payload)

    async def send_speech(
        self, signal: SpeechSignal, *, engine: str, ended_at_us: int | None = None, inference_us: int = 0
    ) -> int:
        """Send what you found in 40 ms of sound that ended then (default: now); otherwise like :meth:`send_face`."""
        payload = speech_payload(signal, engine=engine, inference_us=inference_us)
        at_us = self._clock() if ended_at_us is None else ended_at_us
        return await self._put(self._audio, MediaKind.SPEECH_FEATURES, at_us, payload)

    async def withdraw(
        self, *, audio: bool = False, video: bool = False, store_raw: bool = False, fairness: bool = False
    ) -> None:
        """Withdraw consent; the service stops that modality at once. Consent cannot be given again in this session."""
        scopes = {"audio": audio, "video": video, "store_raw": store_raw, "fairness": fairness}
        withdrawn = {name: False for name, asked in scopes.items() if asked}
        await self._say({"type": "consent", **withdrawn})

    async def drained(self, *, deadline_s: float = 30.0) -> bool:
        """Return once the service has acknowledged all that was sent; False if it has not by the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while self._audio.held() or self._video.held():
                    self._check()
                    self._progress.clear()
                    await self._progress.wait()
            return True
        return False

    async def end(self) -> None:
        """Send what waits, end the session, close the connection."""
        if not self._ending and self._link is not None and not self._link.done():
            await self.drained(deadline_s=5.0)
            self._ending = True
            with contextlib.suppress(ConnectionRefused, TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._say({"type": "end"})
                    await self._ended.wait()
        self._ending = True
        self._ended.set()
        await self.close()

    async def close(self) -> None:
        """Close the connection without ending the session; it can be gone on with for 30 s."""
        if self._link is not None:
            self._link.cancel()
            await asyncio.gather(self._link, return_exceptions=True)

    async def delete(self) -> None:
        """End the session over HTTP at once; what waits is not sent."""
        self._ending = True
        path = f"/v1/sessions/{self.session_id}"
        answer = await _ask(self.servers, "DELETE", path, self._tls, headers=self._headers())
        if answer.status_code != 204:
            raise _refusal(answer)
        self._ended.set()
        await self.close()

    async def reset_calibration(self) -> int:
        """Have the person's neutral face learned anew; returns from which instant on, in µs of event time.

        Ask the person to look into the camera with a relaxed face for the session's ``calibration_seconds``. Raises
        SessionRefused, for instance if the session is over, or httpx.HTTPError if the service cannot be reached.
        """
        path = f"/v1/sessions/{self.session_id}/calibration/reset"
        answer = await _ask(self.servers, "POST", path, self._tls, headers=self._headers())
        if answer.status_code != 200:
            raise _refusal(answer)
        return int(answer.json()["captured_at_us"])

    def watch(self, *, wire: Literal["json", "cbor"] = "json") -> AsyncIterator[dict[str, Any]]:
        """The session's messages as they come, reconnecting where needed; ends about 2 s after the session's end.

        See :func:`client.watch.watch`. Raises ConnectionRefused, or ValueError if the service named no egress.
        """
        if self.opened.avatar_url is None:
            raise ValueError("the service did not say where its egress is: set AFFECTSTREAM_PUBLIC_EGRESS_URL there")
        places = Places(self.opened.avatar_url, self._egress)
        return watch(places, self._token, wire=wire, ended=self._ended, tls=self._tls)

    # Behind the scenes.

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _check(self) -> None:
        """Raise what ended the connection for good, if anything did."""
        if self._link is not None and self._link.done() and not self._link.cancelled():
            error = self._link.exception()
            if error is not None:
                raise error

    async def _put_picture(self, kind: MediaKind, captured_at_us: int | None, payload: bytes) -> int:
        now_us = self._clock()
        if not self._pace.wanted(now_us):
            self._check()
            self.pictures_skipped += 1
            return -1
        return await self._put(self._video, kind, now_us if captured_at_us is None else captured_at_us, payload)

    async def _put(self, lane: Lane, kind: MediaKind, captured_at_us: int, payload: bytes) -> int:
        self._check()
        while not lane.room():
            self._progress.clear()
            waiting = asyncio.ensure_future(self._progress.wait())
            try:
                ends = [waiting] if self._link is None else [waiting, self._link]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            self._check()
        sequence = lane.put(kind, captured_at_us, payload)
        self._work.set()
        return sequence

    async def _say(self, message: Mapping[str, Any]) -> None:
        self._says.append(orjson.dumps(message).decode())
        self._work.set()

    async def _keep_connected(self) -> None:
        delay_s = FIRST_RETRY_S
        while not self._ended.is_set():
            try:
                async with connect(
                    self._places.url,
                    additional_headers=self._headers(),
                    compression=None,
                    proxy=None,
                    ssl=of(self._places.url, self._tls),
                    open_timeout=5,
                    close_timeout=1,
                    max_size=65_536,
                    **keeping_alive(self._places),
                ) as socket:
                    await self._converse(socket)
            except ConnectionClosed as closed:
                if self._connected.is_set():
                    delay_s = FIRST_RETRY_S  # it stood: this is a new break, not another failure
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")
                if self._ending or code == CloseCode.NORMAL:
                    self._ended.set()
                    return
                if code in FINAL:
                    raise ConnectionRefused(code, reason) from closed
                log.info("media connection lost (%d %s), connecting again", code, reason)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                log.info("media connection cannot be made, trying again: %s", error)
            finally:
                self._connected.clear()
            self._places.failed()
            await asyncio.sleep(delay_s)
            delay_s = min(LAST_RETRY_S, delay_s * 2)

    async def _converse(self, socket: ClientConnection) -> None:
        """Serve one connection until it closes; raises ConnectionClosed."""
        welcome = orjson.loads(await socket.recv())
        received = welcome.get("received", {})
        self._audio.reconnected(received.get("audio"))
        self._video.reconnected(received.get("video"))
        self._pace.ask(None)
        self.reconnects += 1
        self._connected.set()
        self._probed.clear()
        sender = asyncio.create_task(self._send(socket))
        try:
            async for text in socket:
                await self._on_message(socket, orjson.loads(text))
            # The iterator ends silently on a normal closure: say it as any other.
            await socket.recv()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, socket: ClientConnection) -> None:
        # An edge that has just started does not know this clock yet, and would take old sound for new.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._probed.wait(), PROBE_WAIT_S)
        self._work.set()
        while True:
            await self._work.wait()
            self._work.clear()
            # Sound first: it is small, and gaps in it are heard.
            for lane in (self._audio, self._video):
                while (message := lane.take()) is not None:
                    await socket.send(message.to_bytes())
                    self._progress.set()
            while self._says:
                await socket.send(self._says[0])
                self._says.pop(0)

    async def _on_message(self, socket: ClientConnection, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "clock_probe":
            answer = {"type": "clock", "server_us": message["server_us"], "client_us": self._clock()}
            await socket.send(orjson.dumps(answer).decode())
            self._probed.set()
        elif kind == "ack":
            for lane, sequence in ((self._audio, message.get("audio")), (self._video, message.get("video"))):
                if sequence is not None:
                    lane.acknowledged(sequence)
            self._progress.set()
        elif kind == "consent":
            self._token = message.get("token", self._token)
            for name, lane in (("audio", self._audio), ("video", self._video)):
                if message.get(name) is False:
                    lane.clear()
            self._progress.set()
        elif kind == "rate":
            self._pace.ask(message.get("video_per_s"))
        elif kind == "notice":
            log.warning("notice: %s", message.get("message"))
            self.notices = [*self.notices[-99:], message]


async def _ask(
    servers: Sequence[str], method: str, path: str, tls: ssl.SSLContext | None, **how: Any
) -> httpx.Response:
    """The answer of the first server that can be reached; raises httpx.HTTPError if none can."""
    last: httpx.TransportError | None = None
    verify = trusted() if tls is None else tls
    async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False, verify=verify) as http:
        for server in servers:
            try:
                return await http.request(method, server.rstrip("/") + path, **how)
            except httpx.TransportError as error:
                last = error
    raise last or ValueError("no server was named")


def _refusal(answer: httpx.Response) -> SessionRefused:
    try:
        problem = answer.json()
        message = f"{problem['title']}: {problem['detail']}"
        return SessionRefused(answer.status_code, problem["code"], message)
    except (ValueError, KeyError, TypeError):
        return SessionRefused(answer.status_code, "unknown", f"HTTP {answer.status_code} from {answer.url.host}")
