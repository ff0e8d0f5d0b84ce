"""The product on one machine: a broker, topics and the roles of a profile as child processes under one supervisor."""

import fcntl
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from cli.broker import EmbeddedKafka
from cli.broker import prepare as prepare_kafka
from cli.ports import PAGE_PORT, free_ports, is_free
from cli.profiles import WHOLE, Profile
from cli.roles import RoleName
from cli.supervisor import ChildSpec, Supervisor
from cli.telemetry import Scraper
from runtime.errors import AffectstreamError, BrokerError
from runtime.kafka import wait_for_broker
from runtime.keystore import NAME as KEYS
from runtime.settings import Settings
from runtime.tls import scheme
from runtime.topic_admin import enforce
from runtime.topics import ensure_topics

BROKER: Final = "kafka"
BROKER_DEADLINE_S: Final = 60.0
ROLES_DEADLINE_S: Final = 120.0
FORGETFUL: Final = "forgotten-at-start"
"""A file that says of a data folder: what lies here is removed when it is used the next time."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients find the product."""

    ingest: str
    egress: str
    analytics: str
    """Empty where the profile has none."""


class Deployment:
    """The roles of a profile, by default everything, as children of this process. Use it from one long-lived thread.

    The broker is embedded unless ``KAFKA_BOOTSTRAP_SERVERS`` names one. ``start`` raises PrerequisiteError if something
    must be installed first and AffectstreamError if a part does not come up; ``stop`` leaves nothing running.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], *, port: int | None = None, profile: Profile = WHOLE
    ) -> None:
        settings = profile.applied(settings)
        self.profile = profile
        self._environ = environ
        self._kafka: EmbeddedKafka | None = None
        self._lock: TextIO | None = None
        if port is None:
            port = PAGE_PORT if is_free(PAGE_PORT) else 0
        elif port and not is_free(port):
            raise AffectstreamError(f"port {port} is taken: choose another with --port (0: any free one)")
        roles = list(profile.roles)
        ports = free_ports(2 * len(roles))
        self.metrics_ports: Mapping[str, int] = {role.value: ports[i] for i, role in enumerate(roles)}
        self._service_ports = {role: ports[len(roles) + i] for i, role in enumerate(roles)}
        if port:
            self._service_ports[RoleName.INGEST] = port
            if is_free(port + 1) and port + 1 not in ports:  # known beforehand, to whoever has to open a firewall
                self._service_ports[RoleName.EGRESS] = port + 1
        url = {role: f"{scheme(settings)}://127.0.0.1:{self._service_ports[role]}" for role in roles}
        self.addresses = Addresses(url[RoleName.INGEST], url[RoleName.EGRESS], url.get(RoleName.ANALYTICS, ""))
        self.settings = settings.model_copy(
            update={
                "open_sessions": profile.is_open(settings),
                "public_ingest_url": settings.public_ingest_url or self.addresses.ingest,
                "public_egress_url": settings.public_egress_url or self.addresses.egress,
                "public_analytics_url": settings.public_analytics_url or self.addresses.analytics,
            }
        )
        self.supervisor = Supervisor()
        self.scraper = Scraper(self.metrics_ports, scheme(settings), every_s=profile.observe_every_s)

    @property
    def logs_dir(self) -> Path:
        """Where each child's log lies."""
        return self.settings.data_dir / "logs"

    def start(self, progress: Progress) -> None:
        """Start everything and return once every role is ready; stops what it started if that fails."""
        self._lock_data_dir()
        try:
            if self.profile.forgets and not self._environ.get("KAFKA_BOOTSTRAP_SERVERS"):
                forget(self.settings.data_dir)
            self._start_broker(progress)
            progress("creating topics")
            ensure_topics(self.settings)
            enforce(self.settings)
            progress("starting the roles")
            self.scraper.start()
            for role in self.profile.roles:
                self.supervisor.add(self._role(role))
            self.supervisor.wait_ready([role.value for role in self.profile.roles], deadline_s=ROLES_DEADLINE_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the roles, then the broker, so that what they still have to say is heard; returns when all is gone."""
        names = list(self.supervisor.children)
        self.supervisor.stop([name for name in names if name != BROKER])
        self.supervisor.stop([name for name in names if name == BROKER])
        self.scraper.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _lock_data_dir(self) -> None:
        data_dir = self.settings.data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (data_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            self._lock = None
            raise AffectstreamError(f"another demo uses {data_dir}: stop it, or choose another --data-dir") from error

    def _start_broker(self, progress: Progress) -> None:
        if self._environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            progress(f"using Kafka at {self.settings.kafka_bootstrap_servers}")
            wait_for_broker(self.settings)
            return
        distribution = prepare_kafka(self.settings.cache_dir, progress)
        kafka = EmbeddedKafka(
            distribution, self.settings.data_dir / "kafka", properties=self.profile.broker, java=self.profile.java
        )
        self.settings = self.settings.model_copy(update={"kafka_bootstrap_servers": kafka.bootstrap_servers})
        progress("starting Apache Kafka")
        child = self.supervisor.add(
            ChildSpec(BROKER, kafka.command(), self._inherited(), kafka.log_path, lambda _since_s: kafka.listens())
        )
        try:
            wait_for_broker(
                self.settings,
                deadline_s=BROKER_DEADLINE_S,
                stopped=lambda: child.process is None or child.process.poll() is not None,
            )
        except BrokerError as error:
            raise BrokerError(f"{error}\nthe end of {kafka.log_path}:\n{child.log_end()}") from error
        if child.process is None or child.process.poll() is not None:
            raise BrokerError(f"Apache Kafka ended at once; the end of {kafka.log_path}:\n{child.log_end()}")

    def _role(self, role: RoleName) -> ChildSpec:
        settings = self.settings.model_copy(
            update={"port": self._service_ports[role], "metrics_port": self.metrics_ports[role.value]}
        )
        return ChildSpec(
            name=role.value,
            command=[sys.executable, "-m", "cli", "run", role.value],
            environment={**self._inherited(), **settings.to_env()},
            log_path=self.logs_dir / f"{role.value}.log",
            ready=lambda since_s: self._says_ready(role.value, since_s),
        )

    def _says_ready(self, role: str, since_s: float) -> bool:
        samples = self.scraper.latest()[role]
        return samples.asked_at_s > since_s and samples.ready(role)

    def _inherited(self) -> dict[str, str]:
        """Our environment without our own variables: a child is told its settings anew."""
        return {name: value for name, value in self._environ.items() if not name.startswith("AFFECTSTREAM_")}


def forget(data_dir: Path) -> None:
    """Remove what a former run left in the folder: its log, recovery stores and keys, which belong together.

    AffectstreamError, and nothing is removed, if they are of something that keeps them.
    """
    left = [path for name in ("kafka", "fusion") if (path := data_dir / name).exists()]
    left += sorted(data_dir.glob(f"{KEYS}*"))
    mark = data_dir / FORGETFUL
    if left and not mark.exists():
        raise AffectstreamError(
            f"{data_dir} holds {', '.join(path.name for path in left)} of a deployment that keeps them, and this one "
            "begins with nothing: choose another --data-dir"
        )
    mark.touch()
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
