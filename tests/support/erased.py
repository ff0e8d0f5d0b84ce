"""Live sessions with pictures and sound that are known to the byte, and a look into every store for them."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytics.client import AnalyticsClient
from analytics.runfile import read as read_runfile
from client import Session
from dataflows.warm import compile_all
from runtime.kafka import TopicPartition, consumer
from runtime.settings import Settings
from runtime.topics import offset_ranges
from schemas.topics import Topic, topic_specs
from tests.support.edges import Running, ingest
from tests.support.faces import astronaut, jpeg, moved
from tests.support.processes import RoleProcess
from tests.support.waiting import eventually

SUBJECT = "subject-of-a-test-7f3a"
ROLES = ("face-worker", "speech-worker", "fusion")
PICTURE_S = 0.05


@dataclass
class Product:
    """Every role, and how to ask them."""

    settings: Settings
    edge: Running
    analytics: RoleProcess
    processes: list[RoleProcess]

    def operator(self) -> AnalyticsClient:
        """The API, as an operator."""
        found = read_runfile(self.settings.data_dir)
        assert found is not None
        return AnalyticsClient(found.url, found.token)

    def restart_analytics(self) -> None:
        """SIGKILL, and the same again."""
        self.analytics.kill()
        self.analytics.start(deadline_s=60)

    def erased(self, api: AnalyticsClient, session_id: str) -> dict[str, Any]:
        """The audit of a session's erasure, once that is finished."""

        def finished() -> dict[str, Any]:
            found = api.erasure(session_id)
            return found if found["finished_at_us"] is not None else {}

        return eventually(
            finished,
            deadline_s=60,
            every_s=0.2,
            what=lambda: f"{api.erasure(session_id)}\n{self.analytics.log()[-2000:]}",
        )

    def owner(self, token: str) -> AnalyticsClient:
        """The API, with a session's token."""
        found = read_runfile(self.settings.data_dir)
        assert found is not None
        return AnalyticsClient(found.url, token)


@contextmanager
def product(settings: Settings) -> Iterator[Product]:
    """Every role on these settings."""
    settings = settings.model_copy(update={"token_key": os.urandom(32).hex()})
    compile_all()  # once for a version of the rules, and longer than a role may take to be ready
    with ExitStack() as stack:
        launched = []
        for role in (*ROLES, "analytics"):
            process = RoleProcess(role, settings)
            stack.callback(process.kill)
            process.launch()
            launched.append(process)
        edge = stack.enter_context(ingest(settings))
        for process in launched:
            eventually(process.ready, deadline_s=120, every_s=0.1, what=lambda p=process: p.log()[-3000:])
        yield Product(settings, edge, launched[-1], launched)


@dataclass
class Person:
    """A session and what was sent in it."""

    session: Session
    pictures: list[bytes]
    sounds: list[bytes]

    @property
    def words(self) -> dict[str, list[bytes]]:
        """What must not be found, by what it is: a stretch from the middle of each picture and of each sound."""
        return {
            "id": [self.session.session_id.encode()],
            "pixels": [picture[len(picture) // 2 :][:24] for picture in self.pictures],
            "words": [sound[300:332] for sound in self.sounds],
        }


async def person(url: str, seed: int, seconds: float, *, subject: str | None = None, store_raw: bool = False) -> Person:
    """A session that has sent pictures and sound for so long, and goes on."""
    session = await Session.create(
        url, audio=True, video=True, store_raw=store_raw, **({"subject": subject} if subject else {})
    )
    await session.connect()
    rng = np.random.default_rng(seed)
    made = Person(session, [], [])
    for n in range(int(seconds / PICTURE_S)):
        picture = jpeg(moved(astronaut(), int(rng.integers(0, 12)), seed % 5), quality=80 + n % 10)
        sound = rng.integers(-9_000, 9_000, 800, dtype=np.int16).tobytes()
        await session.send_jpeg(picture)
        await session.send_audio(sound)
        made.pictures.append(picture)
        made.sounds.append(sound)
        await asyncio.sleep(PICTURE_S)
    return made


def everything_in(settings: Settings, topic: Topic) -> list[bytes]:
    """Key and value of each record that Kafka gives out of a topic."""
    ranges = offset_ranges(settings, topic)
    ends = {partition: high for partition, (low, high) in ranges.items() if high > low}
    reader = consumer(settings, "grep")
    found: list[bytes] = []
    try:
        reader.assign([TopicPartition(settings.topic(topic), p, ranges[p][0]) for p in ends])
        while ends:
            message = reader.poll(5.0)
            assert message is not None, f"{topic} ends before {ends}"
            found.append(bytes(message.key() or b"") + b"\n" + bytes(message.value() or b""))
            if int(message.offset() or 0) + 1 >= ends.get(int(message.partition() or 0), 0):
                ends.pop(int(message.partition() or 0), None)
    finally:
        reader.close()
    return found


def places_of(settings: Settings, words: Sequence[bytes], folders: Sequence[Path]) -> list[str]:
    """Where one of the words stands: records of Kafka, files."""
    found = [
        f"topic {topic}"
        for topic in topic_specs()
        if any(word in record for record in everything_in(settings, topic) for word in words)
    ]
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.is_file()]
        found += [str(path.relative_to(folder)) for path in files if _holds(path, words)]
    return found


def _holds(path: Path, words: Sequence[bytes]) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False  # a part that ClickHouse has merged meanwhile
    return any(word in data for word in words)
