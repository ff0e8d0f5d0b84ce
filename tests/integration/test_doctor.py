"""``affectstream doctor`` on a real Kafka, in order and broken in the ways that happen."""

import json
import subprocess
import sys

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cli.doctor.command import examine
from cli.doctor.finding import worst
from inference_workers import models
from runtime.clock import SystemClock
from runtime.cluster import clock_of_broker, describe
from runtime.keystore import key_store
from runtime.settings import Settings
from runtime.topic_admin import alter
from schemas.topics import topic_specs
from tests.support.prerequisites import REPOSITORY, required
from tests.support.processes import free_port
from tests.support.waiting import eventually


@pytest.fixture
def prepared(settings):
    """A deployment in order: topics, models, keys."""
    with required():
        models.pull(settings)
    store = key_store(settings.data_dir)
    store.create("somebody")
    store.close()
    return settings


def by_check(findings):
    return {finding.check: finding for finding in findings}


def ask(settings, *arguments):
    """The command, as it is typed: exit code and findings."""
    answer = subprocess.run(
        [sys.executable, "-m", "cli", "doctor", "--json", *arguments],
        cwd=REPOSITORY, env={"PATH": "/usr/bin:/bin", **settings.to_env()}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert answer.stderr == ""
    return answer.returncode, json.loads(answer.stdout)


def test_a_deployment_in_order_is_well_and_left_as_it_was(prepared):
    before = AdminClient({"bootstrap.servers": prepared.kafka_bootstrap_servers}).list_topics(timeout=5).topics
    code, said = ask(prepared)
    found = {finding["check"]: finding for finding in said["findings"]}
    assert [finding for finding in said["findings"] if finding["status"] == "failure"] == []
    assert code == 0
    for check in ("kafka", "topics", "partitions", "replicas", "retention", "broker clock", "key store", "models"):
        assert found[check]["status"] in {"ok", "warning"}, found[check]
    assert found["topics"]["found"] == f"all {len(topic_specs())}"

    def gone():
        now = AdminClient({"bootstrap.servers": prepared.kafka_bootstrap_servers}).list_topics(timeout=5).topics
        return {name for name in now if "doctor." in name} <= {name for name in before if "doctor." in name}

    eventually(gone, deadline_s=15, what="the doctor's topic is deleted")


def test_a_kafka_that_is_not_there_is_one_failure_and_what_hangs_on_it_is_not_judged(tmp_path):
    settings = Settings.from_env({}, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", data_dir=tmp_path)
    found = by_check(examine(settings, {}, SystemClock()))
    assert found["kafka"].status == "failure"
    assert "KAFKA_BOOTSTRAP_SERVERS" in found["kafka"].remedy
    assert {found[check].status for check in ("topics", "partitions", "replicas", "retention", "broker clock")} == {
        "skipped"
    }


def test_topics_that_nobody_created_are_named(broker, tmp_path):
    settings = Settings.from_env({}, kafka_bootstrap_servers=broker, topic_prefix="nobody.", data_dir=tmp_path)
    found = by_check(examine(settings, {}, SystemClock(), write=False))
    assert found["kafka"].status == "ok"
    assert found["topics"].status == "failure"
    assert found["topics"].remedy == "run `affectstream topics create`"
    assert found["broker clock"].status == "skipped"


def test_partitions_that_differ_and_a_retention_that_was_changed_by_hand_are_found(prepared):
    admin = AdminClient({"bootstrap.servers": prepared.kafka_bootstrap_servers})
    name = prepared.topic("ledger")
    admin.delete_topics([name])[name].result(timeout=10)
    eventually(lambda: name not in admin.list_topics(timeout=5).topics, deadline_s=15)
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])[name].result(timeout=10)
    alter(prepared, {"media.video": {"retention.ms": "604800000"}})
    eventually(lambda: len(describe(prepared).topics.get("ledger", ())) == 3, deadline_s=15)
    code, said = ask(prepared, "--no-write")
    found = {finding["check"]: finding for finding in said["findings"]}
    assert (code, said["status"]) == (1, "failure")
    assert found["partitions"]["found"] == "ledger has 3, the others 2"
    assert "media.video keeps 168 h" in found["retention"]["found"]


def test_a_registry_a_clickhouse_and_addresses_that_do_not_answer_are_failures(prepared):
    away = f"http://127.0.0.1:{free_port()}"
    settings = prepared.model_copy(
        update={
            "schema_registry_url": away,
            "clickhouse_dsn": f"clickhouse://u:secret-word@127.0.0.1:{free_port()}/x",
            "public_ingest_url": away,
            "redis_url": f"redis://:secret-word@127.0.0.1:{free_port()}/0",
        }
    )
    findings = examine(settings, {}, SystemClock(), write=False)
    found = by_check(findings)
    for check in ("schema registry", "redis", "clickhouse", "ingest address"):
        assert found[check].status == "failure", found[check]
        assert found[check].remedy
    assert worst(findings) == "failure"
    assert "secret-word" not in repr(findings)


def test_the_broker_s_clock_is_ours_on_one_machine(settings):
    told = clock_of_broker(settings, SystemClock())
    assert abs(told.ahead_s) <= told.uncertain_s + 0.002
    assert 0 < told.write_s < 10
