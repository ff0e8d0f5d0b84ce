"""``affectstream egress vmc``: a session's avatar frames to a program that speaks the VMC protocol."""

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from client.errors import ClientError
from client.watch import watch
from egress.vmc import DEFAULT_PORT, NAME_SETS, NameSet, Performer
from runtime.errors import AffectstreamError, SettingsError
from runtime.tls import client_context

HTTP_TIMEOUT_S: Final = 5.0
LIFE_SIGN_S: Final = 1.0
"""While no frame comes, the receiver is told so often that this side lives."""
QUIET_S: Final = 2.0
"""After so long without a frame, longer than a role takes to restart, the face relaxes."""
RELAX_S: Final = 0.5
STEP_S: Final = 1 / 30

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the datagrams go: a resolved address."""

    family: socket.AddressFamily
    address: tuple[Any, ...]
    title: str


@dataclass(slots=True)
class Sent:
    """What was sent."""

    frames: int = 0
    datagrams: int = 0
    unheard: int = 0
    """Datagrams that the other machine refused: no program listens on the port."""
    lost: int = 0
    """Datagrams that this machine's network did not take."""
    connections: int = 0


def parse_target(text: str) -> Target:
    """HOST:PORT, HOST (port 39539), or [IPv6]:PORT, resolved; SettingsError says what is wrong with it."""
    shape = f"--to {text}: give HOST:PORT, for instance 127.0.0.1:{DEFAULT_PORT}"
    with contextlib.suppress(ValueError):
        text = f"[{ipaddress.IPv6Address(text)}]"
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port if parts.port is not None else DEFAULT_PORT
    except ValueError as error:
        raise SettingsError(f"{shape} ({error})") from error
    if not host or parts.path or parts.query or parts.fragment or parts.username is not None or not 0 < port < 65_536:
        raise SettingsError(shape)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--to {text}: {host} is not known here: {error}") from error
    return Target(family, address, f"{host}:{port}")


def parse_names(text: str) -> tuple[NameSet, ...]:
    """Sets of names with commas between them; SettingsError on an unknown one."""
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    found = tuple(name for name in NAME_SETS if name in chosen)
    if len(found) != len(chosen):
        raise SettingsError(f"--names {text}: known are {', '.join(NAME_SETS)}")
    return found


def avatar_url(session: str, *, edge: str, egress: str | None) -> str:
    """Where the session's frames are watched; the edge is asked where its egress is unless that is given.

    Raises SettingsError if the answer cannot be used, AffectstreamError if the edge does not answer.
    """
    if egress is None:
        try:
            answer = httpx.get(
                f"{edge.rstrip('/')}/v1/client-config", timeout=HTTP_TIMEOUT_S, trust_env=False, verify=client_context()
            )
            answer.raise_for_status()
            egress = str(answer.json()["egress_url"] or "")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            msg = f"{edge} does not say where its egress is: {error}; give it with --egress-url"
            raise AffectstreamError(msg) from error
    parts = urlsplit(egress)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise SettingsError(f"egress {egress!r}: an address such as ws://127.0.0.1:8421 was expected")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/v1/sessions/{quote(session, safe='')}/avatar"


class Mouthpiece:
    """A UDP socket that never blocks; what cannot be sent is counted and given up, as the next frame is newer."""

    def __init__(self, target: Target, sent: Sent, progress: Progress) -> None:
        self._target = target
        self._sent = sent
        self._progress = progress
        self._told: set[str] = set()
        self._socket = socket.socket(target.family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            # A connected socket hears that nobody listens there.
            self._socket.connect(target.address)
        except OSError as error:
            self._socket.close()
            raise SettingsError(f"{target.title} cannot be reached: {error.strerror}") from error

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send each datagram once."""
        for datagram in datagrams:
            try:
                self._socket.send(datagram)
                self._sent.datagrams += 1
            except ConnectionRefusedError:
                # It says that an earlier one found no listener; this one was not sent.
                self._sent.unheard += 1
                self._tell("refused", f"nobody listens on {self._target.title} yet: start its VMC receiver")
            except OSError as error:
                self._sent.lost += 1
                self._tell(str(error.errno), f"{self._target.title}: {error.strerror}")

    def close(self) -> None:
        self._socket.close()

    def _tell(self, what: str, line: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._progress(line)


async def relay(
    messages: AsyncIterator[dict[str, Any]],
    mouthpiece: Mouthpiece,
    performer: Performer,
    sent: Sent,
    progress: Progress,
) -> None:
    """Send what the session's messages say until they end; raises what they raise."""
    clock = asyncio.get_running_loop().time
    newest_s = clock()

    async def live() -> None:
        while True:
            quiet_s = clock() - newest_s
            relaxing = QUIET_S <= quiet_s < QUIET_S + RELAX_S + STEP_S
            await asyncio.sleep(STEP_S if relaxing else LIFE_SIGN_S if quiet_s >= QUIET_S else LIFE_SIGN_S / 2)
            quiet_s = clock() - newest_s
            if quiet_s >= LIFE_SIGN_S:
                mouthpiece.send(performer.relaxing(min(1.0, max(0.0, 1.0 - (quiet_s - QUIET_S) / RELAX_S))))

    living = asyncio.create_task(live())
    try:
        async for message in messages:
            kind = message["type"]
            if kind == "avatar_frame":
                newest_s = clock()
                mouthpiece.send(performer.frame(message))
                sent.frames += 1
                if sent.frames == 1:
                    progress("frames come")
            elif kind == "emotion_update":
                performer.emotion(message)
            elif kind == "welcome":
                sent.connections += 1
                progress("watching the session" if sent.connections == 1 else "watching again after a break")
            elif kind == "stalled":
                progress(f"the session is silent for {message['quiet_ms'] / 1_000:.0f} s: the face relaxes")
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


def follow(
    session: str, token: str, target: Target, *, edge: str, egress: str | None, names: Sequence[NameSet],
    progress: Progress,
) -> Sent:  # fmt: skip
    """Send the session's frames until SIGINT or SIGTERM; returns what was sent.

    Reconnects for as long as it takes. Raises AffectstreamError if the service refuses the session for good.
    """
    url = avatar_url(session, edge=edge, egress=egress)
    sent = Sent()
    performer = Performer(names)
    mouthpiece = Mouthpiece(target, sent, progress)
    progress(f"{url} to {target.title} (UDP); Ctrl-C ends it")
    try:
        asyncio.run(_until_stopped(relay(watch(url, token), mouthpiece, performer, sent, progress)))
        mouthpiece.send(performer.relaxing(0.0))
    except ClientError as error:
        raise AffectstreamError(f"session {session} cannot be watched: {error}") from error
    finally:
        mouthpiece.close()
    return sent


async def _until_stopped(work: Any) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
