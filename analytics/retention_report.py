"""How long everything is kept: what is configured, beside what Kafka and ClickHouse enforce."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, cast

from analytics.errors import DatabaseUnavailable
from analytics.retention import POLICY, enforced_days, parse_policy
from analytics.source import open_source
from runtime.errors import BrokerError
from runtime.retention import parse_topic_policy
from runtime.settings import Settings
from runtime.topic_admin import enforced_ms
from schemas.topics import Topic, topic_specs

HOLDS: Final[Mapping[str, str]] = {
    "media.audio": "sound, sealed",
    "media.video": "pictures, sealed",
    "signals": "starts and ends, features of face and voice",
    "avatar.frames": "avatar parameters",
    "client.events": "acknowledgements, ratings, consent",
    "ledger": "counts of items by outcome",
    "dead.letters": "records that could not be read",
    "kept": "what others had in a log that was cut, sealed",
    "sessions": "starts and ends",
    "minute_aggregates": "a session's minutes",
    "avatar_frames": "avatar parameters",
    "speech_signals": "features of voice",
    "face_signals": "features of faces",
    "client_events": "acknowledgements, ratings, consent",
    "dead_letters": "where unreadable records lie, not what they say",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How long one store keeps what it holds."""

    store: str
    holds: str
    configured: str
    enforced: str
    """Empty: it cannot be asked now."""

    def keys(self) -> Mapping[str, str]:
        """The JSON object."""
        return asdict(self)


def report(settings: Settings) -> list[Kept]:
    """Every topic and table. Raises SettingsError for a policy that cannot be read."""
    return [*_topics(settings), *_tables(settings)]


def _topics(settings: Settings) -> list[Kept]:
    policy = parse_topic_policy(settings.retention_hours)
    try:
        now = enforced_ms(settings)
    except BrokerError:
        now = {}
    return [
        Kept(f"topic {name}", HOLDS.get(name, ""), spell(policy[cast("Topic", name)]), spell(now.get(name)))
        for name in topic_specs()
    ]


def _tables(settings: Settings) -> list[Kept]:
    policy = parse_policy(settings.retention_days)
    now: Mapping[str, int] = {}
    try:
        with open_source(settings) as source:
            rows = source.sql("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")["rows"]
            now = enforced_days(rows)
    except DatabaseUnavailable:
        pass
    return [
        Kept(f"table {name}", HOLDS.get(name, ""), spell(policy[name] * 86_400_000), spell_days(now.get(name)))
        for name in POLICY
    ]


def spell(ms: int | None) -> str:
    """A duration for people; empty for None."""
    if ms is None:
        return ""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= length and ms % length == 0:
            return f"{ms // length} {unit}"
    return f"{ms / 1_000:g} s"


def spell_days(days: int | None) -> str:
    """The same for days."""
    return "" if days is None else spell(days * 86_400_000)
