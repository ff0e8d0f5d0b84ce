"""A real single-node Kafka that takes users only: SASL_SSL with SCRAM-SHA-512, TLS 1.3, no anonymous access."""

import subprocess
from pathlib import Path

from cli.broker import Distribution
from cli.ports import free_ports
from runtime.kafka import wait_for_broker
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings

USER, PASSWORD = "affectstream", "a secret of the tests"
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{controller}
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://localhost:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SASL_SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram} required username="broker" password="of the broker";
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain} required username="broker" password="p" user_broker="p";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.enabled.protocols=TLSv1.3
ssl.protocol=TLSv1.3
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:{user}
allow.everyone.if.no.acl.found=false
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
"""


class SecureKafka:
    """One broker over one folder, with the certificates that lie in it (cli.certificates.make)."""

    def __init__(self, distribution: Distribution, folder: Path) -> None:
        self._distribution = distribution
        self._folder = folder
        self._port, controller = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        security = "org.apache.kafka.common.security"
        (folder / "broker.pem").write_text(
            (folder / "server-key.pem").read_text() + (folder / "server.pem").read_text(), encoding="utf-8"
        )
        self._properties = folder / "server.properties"
        text = PROPERTIES.format(
            port=self._port, controller=controller, folder=folder, user=USER,
            scram=f"{security}.scram.ScramLoginModule", plain=f"{security}.plain.PlainLoginModule",
        )  # fmt: skip
        self._properties.write_text(text, encoding="utf-8")

    @property
    def settings(self) -> dict[str, str]:
        """What settings need to reach it as the user that may do everything."""
        return {
            "kafka_bootstrap_servers": f"localhost:{self._port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_username": USER,
            "kafka_password": PASSWORD,
            "kafka_ca": str(self._folder / "ca.pem"),
        }

    def start(self, *, deadline_s: float = 60.0) -> None:
        users = (("broker", "of the broker"), (USER, PASSWORD), ("nobody", "may do nothing"))
        arguments = ["format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", str(self._properties)]
        for name, password in users:
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        made = subprocess.run(
            self._distribution.command("kafka.tools.StorageTool", *arguments),
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        with (self._folder / "broker.log").open("wb") as output:
            self._process = subprocess.Popen(
                self._distribution.command("kafka.Kafka", str(self._properties)),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        process = self._process
        wait_for_broker(
            Settings.from_env({}, **self.settings), deadline_s=deadline_s, stopped=lambda: process.poll() is not None
        )
        assert process.poll() is None, (self._folder / "broker.log").read_text()[-3000:]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
