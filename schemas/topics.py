"""The topics as data: ``topics.yaml`` read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import yaml

Topic = Literal[
    "media.audio", "media.video", "signals", "avatar.frames", "client.events", "ledger", "dead.letters", "kept"
]

MEDIA_AUDIO: Final[Topic] = "media.audio"
MEDIA_VIDEO: Final[Topic] = "media.video"
SIGNALS: Final[Topic] = "signals"
AVATAR_FRAMES: Final[Topic] = "avatar.frames"
CLIENT_EVENTS: Final[Topic] = "client.events"
LEDGER: Final[Topic] = "ledger"
DEAD_LETTERS: Final[Topic] = "dead.letters"
KEPT: Final[Topic] = "kept"

CUT_KEY: Final = b"\0cut"
"""Key of a record without a value that says nothing but that a log was cut there: readers pass over it."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What ``topics.yaml`` says of one topic."""

    name: str
    schema: str
    key: str
    retention_ms: int
    writers: tuple[str, ...]
    readers: tuple[str, ...]


@cache
def topic_specs() -> Mapping[str, TopicSpec]:
    """Every topic by name. A key that the specification does not know is an error: a typo must not pass."""
    raw = yaml.safe_load((Path(__file__).parent / "topics.yaml").read_text(encoding="utf-8"))
    return {
        name: TopicSpec(name=name, **{**spec, "writers": tuple(spec["writers"]), "readers": tuple(spec["readers"])})
        for name, spec in raw.items()
    }
