"""``affectstream topics``: what topics there are, and creating them."""

from rich.console import Console
from rich.table import Table

from runtime.settings import Settings
from runtime.topic_admin import enforce
from runtime.topics import ensure_topics
from schemas.topics import topic_specs


def create(settings: Settings, console: Console) -> None:
    """Create missing topics, and have all of them keep records as configured; raises BrokerError or TopicMismatch."""
    for name, partitions in ensure_topics(settings).items():
        console.print(f"{settings.topic_prefix}{name}  {partitions} partitions", highlight=False)
    for name in enforce(settings):
        console.print(f"{settings.topic_prefix}{name}  keeps records as configured now", highlight=False)


def show(settings: Settings, console: Console) -> None:
    """The table of ``schemas/topics.yaml``."""
    table = Table(box=None, pad_edge=False)
    for column in ("topic", "schema", "kept", "written by", "read by"):
        table.add_column(column)
    for spec in topic_specs().values():
        table.add_row(
            settings.topic_prefix + spec.name,
            spec.schema,
            _duration(spec.retention_ms),
            ", ".join(spec.writers),
            ", ".join(spec.readers),
        )
    console.print(table)


def _duration(ms: int) -> str:
    days, hours, minutes = ms / 86_400_000, ms / 3_600_000, ms / 60_000
    return f"{days:g} d" if days >= 1 else f"{hours:g} h" if hours >= 1 else f"{minutes:g} min"
