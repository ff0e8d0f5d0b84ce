"""Kafka: brokers, topics, partitions, replicas, retention, the clock; and the Schema Registry. Judgements are pure."""

from collections import Counter
from collections.abc import Sequence

import httpx

from cli.doctor.finding import Finding, ok, skipped
from runtime.clock import Clock
from runtime.cluster import Broker, BrokerClock, Cluster, clock_of_broker, describe, reachable
from runtime.errors import BrokerError
from runtime.retention import parse_topic_policy
from runtime.settings import Settings
from runtime.topic_admin import enforced_ms
from schemas.topics import topic_specs

CREATE = "run `affectstream topics create`"
CLOCK_WARNING_S = 0.05
CLOCK_FAILURE_S = 1.0
WRITE_WARNING_S = 0.05


def check_kafka(settings: Settings, clock: Clock, *, write: bool) -> list[Finding]:
    """Everything about Kafka. ``write``: whether a topic may be made for a moment, to ask the broker for its time."""
    try:
        cluster = describe(settings)
    except BrokerError as error:
        remedy = "start Kafka, or set KAFKA_BOOTSTRAP_SERVERS to brokers that this machine reaches"
        missing = "Kafka does not answer"
        return [
            Finding("kafka", "failure", str(error), remedy),
            *(skipped(check, missing) for check in ("topics", "partitions", "replicas", "retention", "broker clock")),
        ]
    away = {broker: why for broker in cluster.brokers if (why := reachable(broker))}
    findings = [judge_brokers(cluster.brokers, away), judge_topics(cluster), judge_partitions(cluster, settings)]
    findings += [judge_replicas(cluster), _retention(settings)]
    if not write:
        return [*findings, skipped("broker clock", "asking for it writes a record: --no-write")]
    try:
        return [*findings, judge_clock(clock_of_broker(settings, clock))]
    except BrokerError as error:
        return [*findings, skipped("broker clock", str(error))]


def judge_brokers(brokers: Sequence[Broker], away: dict[Broker, str]) -> Finding:
    """Whether each broker can be reached where it says that it is: a common fault of ``advertised.listeners``."""
    if away:
        told = "; ".join(f"broker {broker.number} at {broker}: {why}" for broker, why in away.items())
        remedy = "let this machine reach these addresses, or correct the brokers' advertised.listeners"
        return Finding("kafka", "failure", told, remedy)
    return ok("kafka", f"{len(brokers)} broker{'s' * (len(brokers) != 1)}: {', '.join(map(str, brokers))}")


def judge_topics(cluster: Cluster) -> Finding:
    """Whether every topic is there."""
    missing = [name for name in topic_specs() if name not in cluster.topics]
    if missing:
        return Finding("topics", "failure", f"missing: {', '.join(missing)}", CREATE)
    return ok("topics", f"all {len(cluster.topics)}")


def judge_partitions(cluster: Cluster, settings: Settings) -> Finding:
    """Whether a session is the same partition everywhere."""
    if not cluster.topics:
        return skipped("partitions", "there are no topics")
    counts = {name: len(partitions) for name, partitions in cluster.topics.items()}
    usual, _ = Counter(counts.values()).most_common(1)[0]
    odd = {name: count for name, count in counts.items() if count != usual}
    if odd:
        told = f"{', '.join(f'{name} has {count}' for name, count in odd.items())}, the others {usual}"
        remedy = (
            "one session must be one partition in every topic: stop the roles, delete the odd topics (with what they "
            f"hold), set AFFECTSTREAM_PARTITIONS={usual} and {CREATE}"
        )
        return Finding("partitions", "failure", told, remedy)
    if usual != settings.partitions:
        told = f"{usual} in every topic, AFFECTSTREAM_PARTITIONS says {settings.partitions}"
        return Finding(
            "partitions", "warning", told, f"set AFFECTSTREAM_PARTITIONS={usual}: it cannot be changed later"
        )
    return ok("partitions", f"{usual} in every topic")


def judge_replicas(cluster: Cluster) -> Finding:
    """Whether every partition has a leader and all of its copies, and whether one lost disk would lose records."""
    if not cluster.topics:
        return skipped("replicas", "there are no topics")
    places = {f"{name}[{i}]": p for name, parts in cluster.topics.items() for i, p in enumerate(parts)}
    headless = [place for place, partition in places.items() if partition.leader < 0]
    if headless:
        return Finding(
            "replicas", "failure", f"no leader: {_some(headless)}", "start the brokers that hold these partitions"
        )
    behind = [place for place, partition in places.items() if partition.in_sync < partition.replicas]
    if behind:
        remedy = "a broker is down or cannot follow: see its log; with one copy more lost, records are gone"
        return Finding("replicas", "warning", f"copies are missing or behind: {_some(behind)}", remedy)
    least = min(partition.replicas for partition in places.values())
    if least == 1 and len(cluster.brokers) > 1:
        remedy = (
            "set AFFECTSTREAM_REPLICATION_FACTOR=3 before the topics are made; for existing ones use Kafka's own tools"
        )
        return Finding("replicas", "warning", f"one copy on {len(cluster.brokers)} brokers", remedy)
    return ok("replicas", f"{least} cop{'y' if least == 1 else 'ies'}, all in sync")


def judge_clock(broker: BrokerClock) -> Finding:
    """Whether latencies can be told across machines. Fusion's own results do not depend on any clock."""
    beyond = abs(broker.ahead_s) - broker.uncertain_s
    told = f"{abs(broker.ahead_s) * 1e3:.1f} ms {'ahead of' if broker.ahead_s > 0 else 'behind'} ours"
    told += f" (± {broker.uncertain_s * 1e3:.1f}); a record is written in {broker.write_s * 1e3:.1f} ms"
    if beyond > CLOCK_WARNING_S:
        status = "failure" if beyond > CLOCK_FAILURE_S else "warning"
        remedy = "run chrony or another NTP client on both machines: hop times across them are wrong by so much"
        return Finding("broker clock", "failure" if status == "failure" else "warning", told, remedy)
    if broker.write_s > WRITE_WARNING_S:
        remedy = "each frame waits for three writes: see the brokers' disks and the network between"
        return Finding("broker clock", "warning", told, remedy)
    return ok("broker clock", told)


def _retention(settings: Settings) -> Finding:
    try:
        now = enforced_ms(settings)
    except BrokerError as error:
        return skipped("retention", str(error))
    policy = parse_topic_policy(settings.retention_hours)
    return judge_retention({name: now[name] for name in now}, {str(name): ms for name, ms in policy.items()})


def judge_retention(now: dict[str, int], policy: dict[str, int]) -> Finding:
    """Whether topics keep records as configured: raw media is promised to be gone after its time."""
    if not now:
        return skipped("retention", "there are no topics")
    wrong = [name for name, ms in now.items() if policy[name] != ms]
    if wrong:
        told = ", ".join(
            f"{name} keeps {now[name] / 3.6e6:g} h instead of {policy[name] / 3.6e6:g} h" for name in wrong
        )
        return Finding("retention", "failure", told, f"{CREATE}: it sets what is configured")
    return ok("retention", "as configured")


def check_registry(settings: Settings) -> Finding:
    """Whether the Schema Registry answers, and knows our subjects."""
    url = settings.schema_registry_url.rstrip("/")
    if not url:
        return skipped("schema registry", "none is configured: records name their schema by its fingerprint")
    remedy = "start it, or correct SCHEMA_REGISTRY_URL: without it nothing can be written"
    try:
        answer = httpx.get(f"{url}/subjects", timeout=5, trust_env=False)
        answer.raise_for_status()
        subjects = {str(subject) for subject in answer.json()}
    except (httpx.HTTPError, ValueError, TypeError) as error:
        return Finding("schema registry", "failure", f"{url}: {error or type(error).__name__}", remedy)
    missing = [name for name in topic_specs() if f"{settings.topic_prefix}{name}-value" not in subjects]
    if missing:
        return ok("schema registry", f"answers; {len(missing)} schemas are registered when they are first used")
    return ok("schema registry", f"answers, knows all {len(topic_specs())} subjects")


def _some(places: Sequence[str], most: int = 5) -> str:
    return ", ".join(places[:most]) + (f" and {len(places) - most} more" if len(places) > most else "")
