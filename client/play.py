"""Streaming a file as a session: what ``affectstream play`` does."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from client.errors import ClientError, ConnectionRefused
from client.recording import Piece, pieces, tracks
from client.session import DEFAULT_SERVER, Session, wall_clock_us
from schemas.fusion_config import MappingName
from schemas.media_framing import MediaKind

AHEAD: Final = 64
"""Pieces decoded ahead of time."""

SETTLE_S: Final = 10.0
"""How long the end of a recorded session is held back for the frames of its last media."""


@dataclass(slots=True)
class Played:
    """What was streamed, and what came back."""

    session_id: str = ""
    media_s: float = 0.0
    """Time in the recording of what was sent so far."""
    duration_s: float = 0.0
    """Length of one round; 0 if the file does not say."""
    audio_sent: int = 0
    video_sent: int = 0
    audio_dropped: int = 0
    video_dropped: int = 0
    reconnects: int = 0
    frames: int = 0
    """``avatar_frame`` messages that came back."""
    emotion_updates: int = 0
    skipped: int = 0
    missing: int = 0
    """Sequences of frames that never came, from the first to the last that did."""
    emotion: str = ""
    """The latest dominant emotion."""
    latency_ms: list[float] = field(default_factory=list)
    """Live: from the instant a frame shows until it was here, by this machine's clock; the latest 1,000."""


Progress = Callable[[Played], None]


async def play(
    path: str | Path,
    audio: str | Path | None = None,
    server: str = DEFAULT_SERVER,
    *,
    speed: float = 1.0,
    loop: bool = False,
    mapping: MappingName = "blend",
    subject: str | None = None,
    follow: bool = True,
    token: str | None = None,
    chunk_ms: int = 20,
    progress: Progress | None = None,
    opened: Callable[[Session], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Played:
    """Stream a file as a session and return what was sent and what came back.

    ``path`` is any file that PyAV can read; ``audio`` is a file whose sound replaces its own. Consent is taken as given
    for what the file holds. ``speed`` 1 is a live session, any other a recorded one, sent at most that many times as
    fast as it plays (infinite: as fast as the service takes it). ``loop`` starts over at the end until ``stop`` is set.
    ``follow`` watches the frames too, if the service names an egress. ``progress`` is called about five times a second
    and at the end, ``opened`` once the session has started. ``token`` is as in :meth:`Session.create`.
    Raises ClientError if the file cannot be used or the service refuses; httpx.HTTPError if it cannot be reached.
    """
    if not speed > 0:
        raise ClientError(f"speed must be greater than 0, not {speed}")
    recording = await asyncio.to_thread(tracks, Path(path), None if audio is None else Path(audio))
    stop = stop or asyncio.Event()
    played = Played(duration_s=recording.duration_s)
    session = await Session.create(
        server,
        audio=recording.audio is not None,
        video=recording.video is not None,
        timeline="live" if speed == 1.0 else "recorded",
        mapping=mapping,
        subject=subject,
        token=token,
    )
    played.session_id = session.session_id
    watching: asyncio.Task[None] | None = None
    async with session:
        if opened is not None:
            opened(session)
        if follow and session.opened.avatar_url is not None:
            joined = asyncio.Event()
            watching = asyncio.create_task(_follow(session, played, joined))
            with suppress(TimeoutError):
                await asyncio.wait_for(joined.wait(), 5.0)
        reporting = asyncio.create_task(_report(session, played, progress))
        try:
            media_end_us = await _stream(session, _rounds(recording, chunk_ms, loop), speed, played, stop)
            if session.timeline == "recorded":
                await session.drained()
                await _settled(played, media_end_us, watching)
        except ConnectionRefused as refused:
            raise ClientError(f"the service closed the session: {refused}") from refused
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
    if watching is not None:
        await watching
    _count(session, played)
    if progress is not None:
        progress(played)
    return played


def _rounds(recording: Any, chunk_ms: int, loop: bool) -> Iterator[Piece]:
    """The pieces of every round, times going on from round to round."""
    start_us = 0
    while True:
        end_us = start_us
        for piece in pieces(recording, chunk_ms=chunk_ms):
            length_us = chunk_ms * 1_000 if piece.kind is MediaKind.PCM16 else 33_333
            end_us = max(end_us, start_us + piece.media_us + length_us)
            yield Piece(start_us + piece.media_us, piece.kind, piece.payload)
        if not loop or end_us == start_us:
            return
        start_us = end_us


async def _stream(session: Session, source: Iterator[Piece], speed: float, played: Played, stop: asyncio.Event) -> int:
    """Send every piece at its time; returns the time of the last in microseconds of the recording."""
    live = session.timeline == "live"
    last_us = 0
    decoder = _Decoder(source)
    try:
        piece = await decoder.next()
        # Opening files takes a moment: time starts with the first piece.
        started_s, started_us = time.monotonic(), wall_clock_us()
        while piece is not None and not stop.is_set():
            # Sound is complete when its last sample is: a chunk is sent at its end.
            length_us = len(piece.payload) * 1_000_000 // 32_000 if piece.kind is MediaKind.PCM16 else 0
            due_s = started_s + (piece.media_us + length_us) / 1e6 / speed
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
            captured_us = started_us + piece.media_us if live else piece.media_us
            if piece.kind is MediaKind.JPEG:
                await session.send_jpeg(piece.payload, captured_us)
            else:
                await session.send_audio(piece.payload, captured_us)
            last_us = max(last_us, piece.media_us)
            played.media_s = last_us / 1e6
            piece = await decoder.next()
    finally:
        decoder.close()
    return last_us


class _Decoder:
    """Decodes ahead in a thread, at most 64 pieces."""

    def __init__(self, source: Iterator[Piece]) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)
        self._thread.start()

    async def next(self) -> Piece | None:
        """The next piece, None after the last; raises ClientError for a file that turns out broken."""
        item = await self._queue.get()
        self._room.release()
        if isinstance(item, Exception):
            raise ClientError(f"the file cannot be decoded: {item}") from item
        return item

    def close(self) -> None:
        """Stop decoding."""
        self._closed = True
        self._room.release()
        self._thread.join(5.0)

    def _run(self) -> None:
        last: Exception | None = None
        try:
            for piece in self._source:
                self._room.acquire()
                if self._closed:
                    return
                self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader gets it
            last = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._queue.put_nowait, last)


async def _follow(session: Session, played: Played, joined: asyncio.Event) -> None:
    previous: int | None = None
    async for message in session.watch():
        kind = message["type"]
        if kind == "welcome":
            joined.set()
        elif kind == "avatar_frame":
            played.frames += 1
            if session.timeline == "live":
                played.latency_ms.append(wall_clock_us() / 1_000 - message["timestamp_ms"])
                del played.latency_ms[:-1_000]
            if previous is not None:
                played.missing += message["sequence"] - previous - 1
            previous = message["sequence"]
        elif kind == "emotion_update":
            played.emotion_updates += 1
            played.emotion = message["payload"]["emotion"]
        elif kind == "skipped":
            played.skipped += message["count"]


async def _settled(played: Played, media_end_us: int, watching: "asyncio.Task[None] | None") -> None:
    """Hold the end of a recorded session back until its last frames have come, so that nothing is cut off."""
    if watching is None:
        await asyncio.sleep(1.0)
        return
    wanted = media_end_us * 30 // 1_000_000 - 15
    until = time.monotonic() + SETTLE_S
    before, quiet_since = -1, time.monotonic()
    while time.monotonic() < until and not watching.done():
        seen = played.frames + played.missing + played.skipped
        if seen != before:
            before, quiet_since = seen, time.monotonic()
            until = quiet_since + SETTLE_S
        if seen >= wanted and time.monotonic() - quiet_since > 0.5:
            return
        await asyncio.sleep(0.05)


async def _report(session: Session, played: Played, progress: Progress | None) -> None:
    while True:
        _count(session, played)
        if progress is not None:
            progress(played)
        await asyncio.sleep(0.2)


def _count(session: Session, played: Played) -> None:
    played.audio_sent, played.audio_dropped = session.audio_counts.sent, session.audio_counts.dropped
    played.video_sent, played.video_dropped = session.video_counts.sent, session.video_counts.dropped
    played.reconnects = max(0, session.reconnects)
