"""The environment, read once, in an entry point: ``Settings.from_env(os.environ)``."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from runtime.addresses import parse_networks
from runtime.errors import SettingsError
from runtime.fusion_defaults import parse_parameters
from runtime.token_keys import parse_keys
from schemas.topics import Topic

PREFIX: Final = "AFFECTSTREAM_"
UNPREFIXED: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka_bootstrap_servers",
    "CLICKHOUSE_DSN": "clickhouse_dsn",
    "SCHEMA_REGISTRY_URL": "schema_registry_url",
    "REDIS_URL": "redis_url",
}
"""Variables whose usual names carry no prefix of ours."""

HANG_S: Final = 1.0
"""The longest calls take 0.15 s of a core: 32 windows of speech at once."""
COMPILING_HANG_S: Final = 30.0

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """Everything that a role can be told from outside. Each field is ``AFFECTSTREAM_<NAME>`` in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # where things are
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma-separated.")
    clickhouse_dsn: str = Field("", description="ClickHouse server; empty: embedded (chDB) in data_dir.")
    schema_registry_url: str = Field("", description="Schema Registry; empty: Avro single-object encoding.")
    redis_url: str = Field(
        "", repr=False, description="Redis that edges share; empty: each keeps its own state (one edge only)."
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path.home() / ".cache" / "affectstream", description="Models, Kafka's jars, samples."
    )
    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "affectstream",
        description="Recovery stores, embedded ClickHouse, embedded Kafka's log.",
    )

    # ClickHouse
    retention_days: str = Field(
        "", description="How long rows are kept, as in avatar_frames=30,ledger=60; tables not named: their defaults."
    )

    # fusion
    fusion_parameters: str = Field(
        "",
        description="Fusion parameters of sessions that do not say otherwise, as in max_wait_ms=50,tau_face_ms=30; not "
        "named: their defaults. A session records what it was started with.",
    )

    # experiments
    experiments_dir: str = Field("", description="Folder of experiments, a YAML file each; empty: there are none.")

    # privacy
    erase_in: str = Field(
        "",
        description="Folders, comma-separated, besides data_dir/recordings and data_dir/reports, in which files of "
        "erased sessions are deleted.",
    )

    retention_hours: str = Field(
        "", description="How long topics keep records, as in signals=48,media.video=0.1; not named: their defaults."
    )

    # Kafka
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="Put before every topic's name.")
    partitions: Annotated[int, Field(ge=1, le=10_000)] = Field(6, description="Partitions of each session topic.")
    replication_factor: Annotated[int, Field(ge=1, le=15)] = 1

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="SASL_SSL in production: users with passwords, over TLS."
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: str = Field("", repr=False)
    kafka_ca: str = Field("", description="File of the CA that signed the brokers' certificates; empty: the system's.")
    kafka_certificate: str = Field("", description="File of our own certificate, where brokers ask for one.")
    kafka_key: str = Field("", description="File of its key.")

    kafka_linger_ms: Annotated[float, Field(ge=0, le=1_000)] = Field(
        1.0, description="How long a record may wait for others, to go to Kafka together; 0: it goes at once."
    )

    # this process
    instance: str = Field("0", pattern=r"^[A-Za-z0-9._-]+$", description="Tells replicas of a role apart.")
    host: str = "127.0.0.1"
    port: Port = Field(0, description="HTTP and WebSocket port of ingest, egress, analytics; 0: any free one.")
    metrics_port: Port = Field(0, description="Prometheus port of the role; 0: any free one.")
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # faces
    face_engine: Literal["embedded", "onnx", "insightface"] = Field(
        "embedded", description="Who reads faces; others than embedded are backed up by it."
    )
    face_chain: str = Field(
        "", description="YAML file that describes the networks of the engine onnx (docs/face-chain.yaml)."
    )
    face_token: str = Field("", repr=False, description="Sent as a bearer token to the servers that face_chain names.")
    face_timeout_ms: Annotated[int, Field(ge=10, le=500)] = Field(
        100, description="How long a server of face_chain may take for a batch before the embedded engine answers."
    )
    insightface_model: str = Field(
        "", description="Directory of an insightface pack, or the name of one in ~/.insightface/models."
    )
    face_emotion: Literal["network", "rule"] = Field(
        "network", description="What tells emotions of faces: our network, or the rule over Action Units."
    )

    face_emotion_weights: str = Field(
        "", description="ONNX file of a network of your own, as `affectstream train face` writes it; empty: ours."
    )
    # traces
    trace_endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$",
        description="Where the analytics role sends traces by OTLP over HTTP, as in http://collector:4318/v1/traces; "
        "empty: none are made.",
    )  # fmt: skip
    trace_share: Annotated[float, Field(ge=0, le=1)] = Field(0.01, description="Share of sessions that are traced.")

    # engines
    speech_engine: Literal["embedded", "sensevoice", "sensevoice-onnx", "remote", "kserve"] = Field(
        "embedded", description="Who reads emotion from speech; others than embedded are backed up by it."
    )
    sensevoice_model: str = Field(
        "",
        description="Directory of SenseVoice's files, or a hub's id; empty: what `models pull sensevoice` fetched.",
    )
    speech_language: str = Field(
        "auto", description="What SenseVoice is told that is spoken: auto, zh, en, yue, ja, ko."
    )
    speech_url: str = Field(
        "",
        description="Server of the engines remote (http, https) and kserve (grpc, grpcs too; its path is the model).",
    )
    speech_token: str = Field(
        "", repr=False, description="Sent to speech_url as a bearer token, and asked for by ours."
    )
    speech_labels: str = Field(
        "neutral,happy,sad,angry,surprise,fear,disgust,unknown",
        description="What the outputs of a kserve model mean, in order; others than our emotions count as unknown.",
    )
    speech_timeout_ms: Annotated[int, Field(ge=20, le=450)] = Field(
        300, description="How long an engine may take for a batch before the embedded one answers."
    )
    inference_device: Literal["cpu", "cuda"] = Field("cpu", description="Where SenseVoice runs.")
    engine_hang_s: Annotated[float, Field(ge=0, le=600)] = Field(
        0.0,
        description="A call into an engine that makes no end within so much of the worker's own time (waiting for a "
        "processor does not count) is a hang, and the worker is replaced. 0: 1 s, or 30 s with other onnx_providers "
        "than cpu, which may compile for a picture of a new size.",
    )

    # who may do what
    token_key: str = Field(
        default_factory=lambda: secrets.token_hex(32),
        repr=False,
        description="Signs tokens; the same in every process of a deployment. Several, comma-separated: the first "
        "signs, the others still verify; KEY@2026-12-31T12:00:00Z does until then (affectstream token-key rotates).",
    )
    token_ttl_s: Annotated[int, Field(ge=10, le=86_400)] = 3_600
    open_sessions: bool = Field(
        default=False,
        description="Whether anybody may start sessions, of the tenant default; else a token with the scope create is "
        "needed (affectstream token). For demos.",
    )
    allowed_origins: str = Field("", description="Origins that may connect, comma-separated; empty: our own page.")
    starts_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        20.0, description="Sessions that one address may start; ten seconds' worth at once."
    )
    tenant_starts_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        100.0, description="Sessions that one tenant may start at one edge."
    )
    requests_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        200.0, description="Other requests and connections of one address to one process."
    )
    tenant_requests_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        1_000.0, description="The same of one tenant, of those that show a token."
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Addresses and networks, comma-separated, of proxies whose X-Forwarded-For says who the client is.",
    )
    public_ingest_url: str = ""
    public_egress_url: str = ""
    public_analytics_url: str = ""

    # TLS 1.3 of everything that listens
    tls_certificate: str = Field(
        "", description="File of the certificate of HTTP, WebSocket and metrics ports, with its chain; empty: no TLS."
    )
    tls_key: str = Field("", description="File of its key; empty: it stands in the certificate's file.")
    tls_client_ca: str = Field("", description="File of a CA: only clients with a certificate of it may connect.")

    # models
    most_faces: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Faces of a picture that are told apart and counted; one of them is described."
    )
    onnx_providers: str = Field(
        "cpu", description="What runs ONNX networks, in this order where it is there: tensorrt,cuda,cpu."
    )
    onnx_strict: bool = Field(False, description="Refuse to start where the first of them is not there.")
    onnx_threads: Annotated[int, Field(ge=1, le=64)] = Field(1, description="Of each network; a worker is one core.")

    # WebRTC
    ice_servers: str = Field("", description="STUN and TURN servers for clients and edge, URLs, comma-separated.")
    turn_username: str = Field("", pattern=r'^[^"\\]*$', description="Opens the TURN servers, with turn_credential.")
    turn_credential: str = Field("", pattern=r'^[^"\\]*$', repr=False)
    turn_secret: str = Field(
        "", repr=False, description="Shared with the TURN servers: clients get credentials of their own that expire."
    )
    turn_ttl_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    ice_addresses: str = Field(
        "", description="IP addresses on which peers reach the edge, comma-separated; empty: by what it listens on."
    )
    max_peers: Annotated[int, Field(ge=0, le=10_000)] = Field(200, description="WebRTC connections at once; 0: none.")
    offers_per_minute: Annotated[int, Field(ge=1, le=100_000)] = Field(
        60, description="WebRTC offers that one address may make."
    )
    webrtc_receivers: Literal["own", "stock"] = Field(
        "own", description="stock: aiortc's, which cost more and wait longer: to compare, or if ours fail somewhere."
    )
    video_max_fps: Annotated[int, Field(ge=1, le=60)] = Field(30, description="Of video over WebRTC, so much is taken.")

    @field_validator("token_key")
    @classmethod
    def _usable_keys(cls, text: str) -> str:
        parse_keys(text)
        return text

    @field_validator("fusion_parameters")
    @classmethod
    def _usable_parameters(cls, text: str) -> str:
        parse_parameters(text)
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _usable_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **overrides: object) -> "Settings":
        """Settings from ``environ``, then ``overrides`` that are not None; SettingsError names each bad variable."""
        values: dict[str, object] = {}
        for name in cls.model_fields:
            value = environ.get(PREFIX + name.upper())
            if value is not None:
                values[name] = value
        for variable, name in UNPREFIXED.items():
            if environ.get(variable):
                values[name] = environ[variable]
        unknown = sorted(
            name for name in environ if name.startswith(PREFIX) and name[len(PREFIX) :].lower() not in cls.model_fields
        )
        if unknown:
            known = ", ".join(PREFIX + name.upper() for name in cls.model_fields)
            msg = f"unknown variable {', '.join(unknown)}; known: {known}"
            raise SettingsError(msg)
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise SettingsError(problems) from error

    def to_env(self) -> dict[str, str]:
        """The variables that give a child process these very settings."""
        by_field = {field: variable for variable, field in UNPREFIXED.items()}
        return {by_field.get(name, PREFIX + name.upper()): str(value) for name, value in self.model_dump().items()}

    @property
    def hang_limit_s(self) -> float:
        """What ``engine_hang_s`` comes to."""
        return self.engine_hang_s or (HANG_S if self.onnx_providers.strip() == "cpu" else COMPILING_HANG_S)

    def topic(self, name: Topic) -> str:
        """The Kafka name of a topic."""
        return self.topic_prefix + name
