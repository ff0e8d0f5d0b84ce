"""From sessions to machines, with figures that can be multiplied in the head."""

import math
from itertools import pairwise

import pytest

from cli.planning.figures import FILE, Cost, read_figures
from cli.planning.sizing import GROUPED, Demand, make_plan, predicted_cores
from schemas.topics import topic_specs

FIGURES = read_figures()


def figures(**limits):
    """Round costs: a feature session takes 1 ms of each role, a media session 100 ms of each worker besides."""
    features = dict.fromkeys(("ingest", "fusion", "egress", "analytics", "kafka"), 0.001)
    media = {**features, "face-worker": 0.1, "speech-worker": 0.1}
    cost = {
        "features": Cost(source="test", cores={**features, "face-worker": 0.0, "speech-worker": 0.0}),
        "media": Cost(source="test", cores=media),
    }
    changed = {
        name: figure.model_copy(update={"value": limits.get(name, figure.value)})
        for name, figure in FIGURES.limits.items()
    }
    return FIGURES.model_copy(update={"cost": cost, "limits": changed})


def test_replicas_are_cores_over_what_a_replica_may_use_and_one_spare():
    plan = make_plan(figures(utilisation=0.5, imbalance=1.25), Demand(10_000))
    assert plan.roles["ingest"].cores == pytest.approx(10.0)
    assert plan.roles["ingest"].replicas == math.ceil(10 * 1.25 / 0.5) + 1
    assert plan.roles["fusion"].replicas == 25, "a group of partitions is no spare for another"
    assert plan.roles["face-worker"].replicas == 0


def test_only_media_sessions_need_workers():
    plan = make_plan(figures(), Demand(1_000, media_share=0.25))
    assert plan.roles["face-worker"].cores == pytest.approx(25.0)
    assert plan.roles["fusion"].cores == pytest.approx(1.0)


def test_egress_works_for_viewers():
    none, two = (make_plan(figures(), Demand(1_000, viewers=viewers)) for viewers in (0, 2))
    assert none.roles["egress"].replicas == 0
    assert two.roles["egress"].cores == pytest.approx(2.0)
    assert none.out_bits_a_s == 0


@pytest.mark.parametrize("sessions", [1, 100, 10_000, 1_000_000])
def test_every_process_that_shares_partitions_can_have_one(sessions):
    plan = make_plan(FIGURES, Demand(sessions, media_share=0.2))
    assert plan.kafka.partitions % 12 == 0
    assert all(plan.roles[role].replicas <= plan.kafka.partitions * plan.kafka.cells for role in GROUPED)
    copies = plan.kafka.partitions * len(topic_specs()) * FIGURES.limit("replication")
    assert copies <= FIGURES.limit("partitions_a_cluster") * 1.01
    assert plan.kafka.brokers >= 3 * plan.kafka.cells


def test_what_is_kept_for_days_is_filled_by_the_mean_and_media_by_the_busiest_hour():
    volume = FIGURES.volume["media"].bytes
    plan = make_plan(FIGURES, Demand(100, media_share=1.0, busy_share=0.0))
    kept = 100 * 600 * (volume["media.audio"] + volume["media.video"])
    assert plan.kafka.disk_bytes == pytest.approx(kept * FIGURES.limit("replication") * FIGURES.limit("disk_headroom"))


def test_more_sessions_never_need_less():
    plans = [make_plan(FIGURES, Demand(n, media_share=0.1)) for n in (10, 100, 1_000, 10_000)]
    for smaller, larger in pairwise(plans):
        assert smaller.cores < larger.cores
        assert smaller.machine_cores <= larger.machine_cores
        assert smaller.kafka.brokers <= larger.kafka.brokers


def test_a_load_is_predicted_by_its_costs():
    assert predicted_cores(figures(), {"features": 100, "media": 10}) == pytest.approx(0.5 + 10 * 0.205)


def test_the_figures_all_say_where_they_come_from():
    for cost in FIGURES.cost.values():
        assert set(cost.cores) == {"ingest", "face-worker", "speech-worker", "fusion", "egress", "analytics", "kafka"}
        assert "bench" in cost.source
    for volume in FIGURES.volume.values():
        assert set(volume.bytes) == set(topic_specs())
    for figure in (*FIGURES.limits.values(), *FIGURES.recovery.values()):
        assert len(figure.source) > 6
    assert FILE.read_text(encoding="utf-8").startswith("# What one session costs")
