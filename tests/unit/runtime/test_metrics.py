"""The table of metrics and what it exposes."""

import typing

from prometheus_client import generate_latest

from runtime.metrics import METRICS, Metrics, Name


def test_every_typed_name_is_defined_and_every_label_is_impersonal():
    assert set(METRICS) == set(typing.get_args(Name))
    for definition in METRICS.values():
        assert definition.meaning.endswith(".")
        assert not {"session", "session_id", "subject", "tenant", "client"} & set(definition.labels)


def test_metrics_are_exposed():
    metrics = Metrics("fusion")
    metrics.count("dropped_total", 3, modality="face", outcome="stale")
    metrics.observe("hop_seconds", 0.004, hop="received")
    metrics.set("sessions_active", 2)
    text = generate_latest(metrics.registry).decode()
    assert 'affectstream_role_ready{role="fusion"} 0.0' in text
    assert 'affectstream_dropped_total{modality="face",outcome="stale"} 3.0' in text
    assert 'affectstream_hop_seconds_bucket{hop="received",le="0.005"} 1.0' in text
    metrics.ready(True)
    assert 'affectstream_role_ready{role="fusion"} 1.0' in generate_latest(metrics.registry).decode()


def test_what_is_forgotten_is_not_shown_any_more_and_may_come_again():
    metrics = Metrics("egress")
    for partition in ("0", "1"):
        metrics.set("lag_records", 7, topic="avatar.frames", partition=partition)
    metrics.forget("lag_records", topic="avatar.frames", partition="0")
    metrics.forget("lag_records", topic="avatar.frames", partition="5")
    text = generate_latest(metrics.registry).decode()
    assert 'affectstream_lag_records{partition="0"' not in text
    assert 'affectstream_lag_records{partition="1",topic="avatar.frames"} 7.0' in text


def test_the_process_itself_and_its_version_are_shown():
    text = generate_latest(Metrics("ingest").registry).decode()
    assert "process_cpu_seconds_total " in text
    assert 'affectstream_build_info{version="' in text
