"""One live session through every role with the default engines: fed with the sample as the demo is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from benchmarks.bench import Progress
from benchmarks.latency.stations import MODALITIES, Arrival, Journey, Percentiles, journey, unaccounted_ms
from benchmarks.processes import CandidateError
from benchmarks.resources import Resources, Use
from cli.deployment import Deployment
from cli.profiles import Profile
from cli.sample import Sample
from client.recording import Piece, pieces, tracks
from client.session import Session, wall_clock_us
from runtime.settings import Settings
from schemas.media_framing import MediaKind

WARM_S: Final = 5.0
"""Left out: the edge learns the client's clock, caches fill."""
CHUNK_MS: Final = 20
CHUNK_US: Final = CHUNK_MS * 1_000
COUNTED_SHARE: Final = 0.8
"""A modality that counts in fewer of the frames was not measured but lost. (The sample is black for 2 of its 30 s.)"""
MISSING_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class SessionLatency:
    """Capture to frame at the client."""

    frames: int
    missing: int
    journeys: Mapping[str, Journey]
    """By modality."""
    unaccounted: Percentiles
    sending_behind_ms: float
    """How late the bench itself gave a piece to the client library, at the 99th percentile."""
    uses: Mapping[str, Use]
    """What each part took meanwhile, the warm-up included."""

    @property
    def whole(self) -> Percentiles:
        """Of the slower modality, at each percentile."""
        wholes = [found.whole for found in self.journeys.values()]
        return Percentiles(max(w.p50 for w in wholes), max(w.p95 for w in wholes), max(w.p99 for w in wholes))


@dataclass(slots=True)
class _Course:
    pictures_us: list[int]
    arrivals: list[Arrival]
    late_ms: list[float]
    began_us: int = 0


def measure_session(  # noqa: PLR0917 - all of what is measured
    settings: Settings,
    environ: Mapping[str, str],
    profile: Profile,
    sample: Sample,
    seconds: float,
    progress: Progress,
    afterwards: Callable[[Settings], None],
) -> SessionLatency:
    """Start the roles of a profile, play the sample for ``seconds`` after the warm-up, and look at every frame.

    ``afterwards`` is called when the session is over and everything runs still, with the deployment's settings.
    Raises CandidateError if frames or a modality are missing, AffectstreamError if a role does not come up.
    """
    # Decoded beforehand: in life a camera gives pictures that nobody needs to decode.
    progress("decoding the sample")
    media = list(pieces(tracks(sample.video, sample.audio), chunk_ms=CHUNK_MS))
    deployment = Deployment(settings, environ, port=0, profile=profile)
    deployment.start(progress)
    try:
        progress(f"one live session for {WARM_S + seconds:g} s")
        resources = Resources(deployment)
        course = uvloop.run(_play(deployment.addresses.ingest, media, WARM_S + seconds))
        uses = resources.so_far()
        afterwards(deployment.settings)
    finally:
        deployment.stop()
    return _results(course, uses)


async def _play(url: str, media: Sequence[Piece], seconds: float) -> _Course:
    course = _Course([], [], [])
    async with await Session.create(url, audio=True, video=True) as session:
        joined = asyncio.Event()
        watching = asyncio.create_task(_watch(session, course, joined))
        async with asyncio.timeout(20.0):
            await joined.wait()
        course.began_us = wall_clock_us()
        await _send(session, media, seconds, course)
    await watching
    return course


async def _watch(session: Session, course: _Course, joined: asyncio.Event) -> None:
    async for message in session.watch():
        if message["type"] == "avatar_frame":
            course.arrivals.append(Arrival(wall_clock_us(), message))
        elif message["type"] == "welcome":
            joined.set()


async def _send(session: Session, media: Sequence[Piece], seconds: float, course: _Course) -> None:
    """Give each piece when it would be there: a picture when it is taken, a chunk when its last sample is."""
    length_us = max(piece.media_us for piece in media) + CHUNK_US
    round_us = 0
    while True:
        for piece in media:
            is_picture = piece.kind is MediaKind.JPEG
            captured_us = course.began_us + round_us + piece.media_us
            due_us = captured_us + (0 if is_picture else CHUNK_US)
            if due_us > course.began_us + seconds * 1e6:
                return
            wait_us = due_us - wall_clock_us()
            if wait_us > 0:
                await asyncio.sleep(wait_us / 1e6)
            course.late_ms.append((wall_clock_us() - due_us) / 1e3)
            if is_picture:
                # The moment of capture is now, whenever this process was woken.
                captured_us = wall_clock_us()
                course.pictures_us.append(captured_us)
                await session.send_jpeg(piece.payload, captured_us)
            else:
                await session.send_audio(piece.payload, captured_us)
        round_us += length_us


def _results(course: _Course, uses: Mapping[str, Use]) -> SessionLatency:
    from_us = course.began_us + WARM_S * 1e6
    until_us = max(course.pictures_us)
    measured = [arrival for arrival in course.arrivals if from_us <= arrival.tick_us < until_us]
    if not measured:
        raise CandidateError("no frame came in the measured time: look at the roles' logs")
    sequences = [int(arrival.message["sequence"]) for arrival in measured]
    missing = sequences[-1] - sequences[0] + 1 - len(sequences)
    if missing > MISSING_SHARE * len(sequences):
        raise CandidateError(f"{missing} of {len(sequences) + missing} frames never came: the machine is too busy")
    journeys: dict[str, Journey] = {}
    for modality in MODALITIES:
        found = journey(measured, modality)
        if found is None or found.samples < COUNTED_SHARE * len(measured):
            count = 0 if found is None else found.samples
            told = f"{modality} counted in {count} of {len(measured)} frames only"
            raise CandidateError(f"{told}: the machine is too busy")
        journeys[modality] = found
    return SessionLatency(
        frames=len(measured),
        missing=missing,
        journeys=journeys,
        unaccounted=Percentiles.of(unaccounted_ms(measured, course.pictures_us)),
        sending_behind_ms=Percentiles.of(course.late_ms).p99,
        uses=uses,
    )
