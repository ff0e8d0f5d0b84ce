"""``affectstream play``: a file as a session, and the thread in which the demo plays its sample."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.observation import Observation
from cli.sample import Sample
from client.errors import ClientError
from client.play import Played, play
from client.session import Session, wall_clock_us
from runtime.errors import AffectstreamError


def play_file(
    url: str, video: Path, audio: Path | None, *, speed: float, loop: bool, token: str | None, console: Console
) -> None:
    """Stream a file and show what comes back, until it ends or Ctrl-C; AffectstreamError if that does not work."""
    with Live(console=console, refresh_per_second=5, transient=False) as live:

        def show(played: Played) -> None:
            live.update(line_of(played))

        try:
            asyncio.run(_until_interrupted(url, video, audio, speed=speed, loop=loop, token=token, show=show))
        except (ClientError, httpx.HTTPError) as error:
            raise AffectstreamError(f"{video} cannot be played to {url}: {error}") from error


async def _until_interrupted(
    url: str,
    video: Path,
    audio: Path | None,
    *,
    speed: float,
    loop: bool,
    token: str | None,
    show: Callable[[Played], None],
) -> None:
    stop = asyncio.Event()
    playing = asyncio.create_task(
        play(video, audio, url, speed=speed, loop=loop, token=token, progress=show, stop=stop)
    )
    try:
        await asyncio.shield(playing)
    except asyncio.CancelledError:
        # Ctrl-C: end the session in an orderly way.
        stop.set()
        await playing


def line_of(played: Played) -> Text:
    """One line about a session that plays."""
    length = f" of {played.duration_s:.0f}" if played.duration_s else ""
    latency = sorted(played.latency_ms)
    middle = f"{latency[len(latency) // 2]:.0f} ms" if latency else "-"
    return Text.assemble(
        (played.session_id, "bold"), f"  {played.media_s:5.1f}{length} s",
        ("  sent ", "dim"), f"{played.video_sent} pictures, {played.audio_sent} chunks",
        ("  back ", "dim"), f"{played.frames} frames, {played.missing} missing",
        ("  latency ", "dim"), middle,
        ("  ", ""), (played.emotion, "cyan"),
    )  # fmt: skip


class SamplePlayer:
    """Plays the sample in a loop to an ingest edge and watches what comes back, in a thread of its own."""

    def __init__(self, url: str, sample: Sample) -> None:
        self._url = url
        self._sample = sample
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample-player", daemon=True)
        self.session_id: str | None = None
        self.observation: Observation | None = None
        self.played: Played | None = None
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()
        self._started.wait()

    def running(self) -> bool:
        """Whether it plays still; if not, and nobody stopped it, ``error`` says why."""
        return self._thread.is_alive()

    def stop(self, *, deadline_s: float = 20.0) -> None:
        """End the session in an orderly way; returns when its last frames have come, or at the deadline."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(deadline_s)

    def _run(self) -> None:
        try:
            asyncio.run(self._play())
        except (ClientError, httpx.HTTPError, OSError) as error:
            self.error = error
        finally:
            self._started.set()

    async def _play(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        watching: list[asyncio.Task[None]] = []

        def opened(session: Session) -> None:
            self.session_id = session.session_id
            # The first picture and sound are given now.
            self.observation = Observation(self._sample.truth, wall_clock_us())
            watching.append(asyncio.create_task(_observe(session, self.observation)))

        try:
            self.played = await play(
                self._sample.video, self._sample.audio, self._url,
                loop=True, follow=False, opened=opened, stop=self._stop,
            )  # fmt: skip
        finally:
            await asyncio.gather(*watching, return_exceptions=True)


async def _observe(session: Session, observation: Observation) -> None:
    async for message in session.watch():
        observation.message(wall_clock_us(), message)
