"""What runs together on one machine: everything, or as little as one small box needs. Data: nothing is started here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from cli.roles import RoleName
from runtime.settings import Settings

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Profile:
    """Which roles run on one machine, and how.

    ``defaults`` take the place of the settings' own; what the environment or the command line says goes before them.
    """

    roles: Sequence[RoleName]
    defaults: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    broker: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """Properties of the embedded Kafka."""
    java: Sequence[str] = ()
    """Flags of its Java."""
    forgets: bool = False
    """Every start begins with an empty log, empty recovery stores and no keys."""
    trusts_network: bool = True
    """Anybody who reaches the edge may start sessions; else only if it listens on this machine alone."""
    observe_every_s: float = 0.5
    """How often the roles' metrics are read, by which their supervisor knows that they work."""

    def applied(self, settings: Settings) -> Settings:
        """``settings`` with the profile's defaults where nobody said anything."""
        said = settings.model_fields_set
        return settings.model_copy(update={name: value for name, value in self.defaults.items() if name not in said})

    def is_open(self, settings: Settings) -> bool:
        """Whether anybody may start sessions."""
        return settings.open_sessions or self.trusts_network or _is_loopback(settings.host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


WHOLE: Final = Profile(roles=tuple(RoleName))
"""The product: what ``affectstream demo`` runs."""

EDGE: Final = Profile(
    roles=(RoleName.INGEST, RoleName.FACE_WORKER, RoleName.SPEECH_WORKER, RoleName.FUSION, RoleName.EGRESS),
    defaults={
        # One worker of each kind: more partitions would only be more files.
        "partitions": 1,
        # Nobody reads history here. Media in the log are there for a worker that is replaced, signals for fusion.
        "retention_hours": "media.audio=0.05,media.video=0.05,signals=0.25,avatar.frames=0.05,client.events=0.05,"
        "ledger=0.05,dead.letters=1,kept=0.05",
        # There is nothing to be batched with: a record goes at once.
        "kafka_linger_ms": 0.0,
        # A modality that stalls keeps the other one waiting for two pictures, not for four.
        "fusion_parameters": "max_wait_ms=50",
        "max_peers": 8,
    },
    broker={
        "num.network.threads": "1",
        "num.io.threads": "2",
        "background.threads": "1",
        "num.recovery.threads.per.data.dir": "1",
        "offsets.topic.num.partitions": "1",
        # At most so much of a partition, however short its time is; files small enough for that to be kept.
        "log.retention.bytes": str(96 << 20),
        "log.segment.bytes": str(16 << 20),
        "log.index.size.max.bytes": str(1 << 20),
        "offsets.topic.segment.bytes": str(4 << 20),
    },
    java=("-Xmx128m", "-Xss512k", "-XX:ReservedCodeCacheSize=48m"),
    forgets=True,
    trusts_network=False,
    observe_every_s=2.0,
)
"""One small box with a camera: from capture to frame, and nothing that keeps history (docs/edge.md)."""
