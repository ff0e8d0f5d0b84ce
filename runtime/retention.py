"""How long topics keep records: the policy of ``schemas/topics.yaml``, and changes to it. Pure."""

from typing import Final, cast

from runtime.errors import SettingsError
from schemas.topics import Topic, topic_specs

HOUR_MS: Final = 3_600_000
LONGEST_HOURS: Final = 24 * 366
SEGMENTS_KEPT: Final = 5
"""A record outlives its topic's retention by at most this part of it (and the broker's interval between checks)."""
NAME: Final = "retention.ms"
SEGMENT: Final = "segment.ms"


def parse_topic_policy(text: str) -> dict[Topic, int]:
    """Milliseconds by topic: the defaults with the changes in ``text``, TOPIC=HOURS with commas.

    Raises SettingsError.
    """
    policy = {cast("Topic", name): spec.retention_ms for name, spec in topic_specs().items()}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        topic, _, hours = part.partition("=")
        name = cast("Topic", topic.strip())
        if name not in policy:
            raise SettingsError(f"retention_hours: no topic {name!r}; known: {', '.join(policy)}")
        try:
            wanted = float(hours)
        except ValueError:
            wanted = -1.0
        if not 1 / 60 <= wanted <= LONGEST_HOURS:
            raise SettingsError(f"retention_hours: {part!r} is not TOPIC=HOURS with a minute to {LONGEST_HOURS} hours")
        policy[name] = round(wanted * HOUR_MS)
    return policy


def topic_config(retention_ms: int) -> dict[str, str]:
    """Kafka's settings for a topic that keeps records so long.

    Kafka deletes whole segments only: without short ones media would stay until 7 days or 1 GiB are full.
    """
    return {NAME: str(retention_ms), SEGMENT: str(max(1_000, retention_ms // SEGMENTS_KEPT))}
