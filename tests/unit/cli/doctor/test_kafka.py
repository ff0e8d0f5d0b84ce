"""What the doctor makes of what a cluster says."""

import pytest

from cli.doctor.kafka import judge_brokers, judge_clock, judge_partitions, judge_replicas, judge_retention, judge_topics
from runtime.cluster import Broker, BrokerClock, Cluster, Partition
from runtime.settings import Settings
from schemas.topics import topic_specs

GOOD = Partition(leader=1, replicas=3, in_sync=3)
BROKERS = (Broker(1, ("kafka-1", 9092)), Broker(2, ("kafka-2", 9092)))


def cluster(partitions=6, each=GOOD, **odd):
    topics = {str(name): (each,) * partitions for name in topic_specs()}
    return Cluster(BROKERS, {**topics, **{name.replace("_", "."): value for name, value in odd.items()}})


def settings(**values):
    return Settings.from_env({}, **values)


def test_a_cluster_in_order_is_well():
    good = cluster()
    assert judge_brokers(good.brokers, {}).found == "2 brokers: kafka-1:9092, kafka-2:9092"
    for finding in (judge_topics(good), judge_partitions(good, settings()), judge_replicas(good)):
        assert (finding.status, finding.remedy) == ("ok", "")


def test_a_broker_that_advertises_what_cannot_be_reached_is_named():
    finding = judge_brokers(BROKERS, {BROKERS[1]: "timed out"})
    assert finding.status == "failure"
    assert "broker 2 at kafka-2:9092: timed out" in finding.found
    assert "advertised.listeners" in finding.remedy


def test_missing_topics_are_named():
    found = Cluster(BROKERS, {name: parts for name, parts in cluster().topics.items() if name != "ledger"})
    finding = judge_topics(found)
    assert (finding.status, finding.found) == ("failure", "missing: ledger")
    assert "topics create" in finding.remedy


def test_topics_of_unequal_partitions_are_a_failure():
    finding = judge_partitions(cluster(signals=(GOOD,) * 4), settings())
    assert finding.status == "failure"
    assert finding.found == "signals has 4, the others 6"


def test_settings_that_say_another_number_are_worth_a_word():
    finding = judge_partitions(cluster(partitions=12), settings())
    assert finding.status == "warning"
    assert "AFFECTSTREAM_PARTITIONS=12" in finding.remedy


@pytest.mark.parametrize(
    "partition,status,said",
    [
        (Partition(-1, 3, 0), "failure", "no leader: signals[0]"),
        (Partition(1, 3, 2), "warning", "copies are missing or behind: signals[0]"),
        (Partition(1, 1, 1), "warning", "one copy on 2 brokers"),
    ],
)
def test_replicas_that_are_missing_are_told(partition, status, said):
    finding = judge_replicas(cluster(signals=(partition, *(GOOD,) * 5)))
    assert finding.status == status
    assert finding.found.startswith(said)
    assert finding.remedy


def test_many_places_are_cut_short():
    finding = judge_replicas(cluster(partitions=96, each=Partition(-1, 3, 0)))
    assert finding.found.endswith(f"and {96 * len(topic_specs()) - 5} more")


def test_nothing_is_said_of_topics_that_are_not_there():
    none = Cluster(BROKERS, {})
    assert {judge_partitions(none, settings()).status, judge_replicas(none).status} == {"skipped"}
    assert judge_retention({}, {}).status == "skipped"


def test_retention_that_differs_is_a_broken_promise():
    finding = judge_retention(
        {"media.audio": 604_800_000, "signals": 604_800_000}, {"media.audio": 600_000, "signals": 604_800_000}
    )
    assert finding.status == "failure"
    assert finding.found.startswith("media.audio keeps 168 h instead of 0.16")


@pytest.mark.parametrize(
    "clock,status",
    [
        (BrokerClock(0.004, 0.002, 0.004), "ok"),
        (BrokerClock(-0.3, 0.002, 0.004), "warning"),
        (BrokerClock(0.3, 0.29, 0.58), "warning"),  # so slow that the clock cannot be told: the write is what is odd
        (BrokerClock(3_600.0, 0.002, 0.004), "failure"),
    ],
)
def test_clocks_are_judged_by_what_is_certain(clock, status):
    finding = judge_clock(clock)
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")
