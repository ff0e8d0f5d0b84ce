"""Reports of observations whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analytics.experiments.analysis import Arms, Observation, Settings, analyse
from analytics.experiments.fairness import GroupedUnit, fairness
from schemas.experiments import parse_experiment

HALVES = {"usual": "1", "other": "1"}


def arms(shares=HALVES, **changes):
    variants = {
        name: {"weight": w, "parameters": {"tau_face_ms": str(i)}} for i, (name, w) in enumerate(shares.items())
    }
    raw = {"name": "e", "status": "running", "control": "usual", "units": "400", "variants": variants}
    return Arms.of(parse_experiment(raw | changes))


def observations(n=400, effect=0.0, share=0.5, seed=1, sessions=1):
    rng = np.random.default_rng(seed)
    found = []
    for unit in range(n):
        variant = "other" if rng.random() < share else "usual"
        for k in range(sessions):
            rating = float(rng.normal(3, 1)) + effect * (variant == "other")
            values = {
                "rating": rating, "jitter": float(rng.normal(5, 1)), "opt_out": 100.0 * (rng.random() < 0.1),
                "recognition_error": 100.0 * (rng.random() < 0.3), "confidence": float(rng.normal(0.8, 0.05)),
                "sensitive_false_positives": float(rng.exponential(3)),
            }  # fmt: skip
            group = ("a", "b", "tiny")[min(unit % 20, 2) if unit % 20 < 2 or unit < 12 else unit % 2]
            found.append(
                Observation(
                    f"{unit}-{k}", f"p{unit}", variant, unit * 1_000 + k, exposed=True, group=group, values=values
                )
            )
    return found


def report(found, definition=None, before=None, **settings):
    return analyse(definition or arms(), found, before, now_ms=0, settings=Settings(**settings))


def test_an_effect_is_found_told_and_decided_upon():
    found = report(observations(effect=0.7))
    assert found["decision"]["verdict"] == "better"
    assert "other is better than usual in perceptual rating" in found["decision"]["text"]
    rating = found["metrics"][0]
    (effect,) = rating["effects"]
    assert rating["primary"]
    assert effect["low"] < 0.7 < effect["high"]
    assert effect["sequence"]["low"] < effect["low"] < effect["high"] < effect["sequence"]["high"]
    assert effect["adjusted_p_value"] >= effect["p_value"]
    assert effect["significant"]
    assert len(effect["trajectory"]) <= 60
    assert effect["trajectory"][-1]["units"] == 400
    assert found["srm"]["exposed"]["verdict"] == "ok"
    json.dumps(found, allow_nan=False)


def test_the_primary_metric_is_corrected_for_its_variants_only():
    found = report(observations(effect=0.3))["metrics"]
    (primary,), others = found[0]["effects"], [e for metric in found[1:] for e in metric["effects"]]
    assert primary["adjusted_p_value"] == primary["p_value"]
    least = min(others, key=lambda effect: effect["p_value"])
    assert least["adjusted_p_value"] == pytest.approx(min(1, least["p_value"] * len(others)))


def test_a_loss_is_called_one_and_nothing_is_called_undecided():
    assert report(observations(effect=-0.7))["decision"]["verdict"] == "worse"
    assert report(observations())["decision"]["verdict"] == "undecided"


def test_a_better_rating_that_costs_something_says_so():
    shaken = [
        replace(o, values={**o.values, "jitter": o.values["jitter"] + 2 * (o.variant == "other")})
        for o in observations(effect=0.7)
    ]
    assert report(shaken)["decision"]["text"].endswith("But worse: Jitter.")


def test_a_sample_ratio_that_is_off_makes_everything_invalid():
    found = report(observations(effect=0.7, share=0.65))
    assert found["srm"]["exposed"]["verdict"] == "mismatch"
    assert found["decision"]["verdict"] == "invalid"


def test_only_the_exposed_count_and_units_not_sessions():
    found = observations(n=100, sessions=3)
    hidden = [
        Observation(o.session_id, o.unit, o.variant, o.assigned_at_ms, o.unit != "p3", o.group, o.values) for o in found
    ]
    told = report(hidden)
    assert told["population"] == {"assigned_sessions": 300, "exposed_sessions": 297, "exposed_units": 99}
    assert sum(arm["units"] for arm in told["metrics"][0]["variants"]) == 99


def test_what_was_before_is_taken_off():
    found = observations(n=300, effect=0.3)
    before = {o.unit: {"rating": o.values["rating"] - 0.3 * (o.variant == "other")} for o in found[:250]}
    (effect,) = report(found, before=before)["metrics"][0]["effects"]
    assert effect["cuped"]["units"] == 250
    assert effect["cuped"]["variance_removed"] > 0.6
    assert effect["cuped"]["high"] - effect["cuped"]["low"] < 0.7 * (effect["high"] - effect["low"])


@pytest.mark.parametrize("found", [[], observations(n=30)])
def test_few_observations_are_no_error(found):
    told = report(found)
    assert told["decision"]["verdict"] == "undecided"
    assert not told["metrics"][0]["effects"]
    json.dumps(told, allow_nan=False)


def test_an_undefined_experiment_is_told_as_far_as_rows_go():
    told = report(observations(n=200), definition=Arms.seen("e", "1", ["usual", "other"]))
    assert told["experiment"]["status"] == "undefined"
    assert told["experiment"]["control"] == "other"
    assert told["srm"]["assigned"]["verdict"] == "unknown"
    assert told["metrics"][0]["effects"][0]["against"] == "other"


def test_three_variants_are_each_held_against_the_control():
    rng = np.random.default_rng(5)
    names = ["usual", "other", "third"]
    found = [
        Observation(str(i), str(i), names[i % 3], i, True, None, {"rating": float(rng.normal(3 + (i % 3 == 2), 1))})
        for i in range(600)
    ]
    told = report(found, definition=arms({"usual": "1", "other": "1", "third": "1"}))
    assert [(e["variant"], e["significant"]) for e in told["metrics"][0]["effects"]] == [
        ("other", False),
        ("third", True),
    ]


# fairness


def grouped(counts, error=None):
    rng = np.random.default_rng(6)
    return [
        GroupedUnit("v", group, {"sensitive_false_positives": float(rng.normal(3 + (error or {}).get(group, 0), 1)),
                                 "recognition_error": float("nan"), "confidence": 0.8})
        for group, count in counts.items() for _ in range(count)
    ]  # fmt: skip


def test_small_cells_are_not_shown_and_not_named():
    found = fairness(grouped({"a": 60, "b": 40, "secret": 4}), ["v"], confidence=0.95)
    assert [group["group"] for group in found["groups"]] == ["a", "b"]
    assert (found["suppressed_groups"], found["suppressed_cells"], found["suppressed_units"]) == (1, 1, 4)
    assert "secret" not in json.dumps(found)


def test_no_hidden_cell_can_be_told_from_the_differences():
    """The others are those that are shown: adding a hidden group changes nothing."""
    with_it = fairness(grouped({"a": 60, "b": 40, "secret": 4}), ["v"], confidence=0.95)
    without = fairness(grouped({"a": 60, "b": 40}), ["v"], confidence=0.95)
    assert with_it["gaps"] == without["gaps"]


def test_a_group_that_fares_worse_is_found():
    found = fairness(grouped({"a": 60, "b": 60, "c": 60}, {"c": 2.0}), ["v"], confidence=0.95)
    worst = [g for g in found["gaps"] if g["significant"] and g["difference"] > 0]
    assert [(g["group"], g["metric"]) for g in worst] == [("c", "sensitive_false_positives")]
    assert worst[0]["low"] < 2 < worst[0]["high"] + 0.2


def test_no_setting_shows_single_persons():
    found = fairness(grouped({"a": 4, "b": 60}), ["v"], confidence=0.95, minimum_cell=1)
    assert found["minimum_cell"] == 5
    assert [group["group"] for group in found["groups"]] == ["b"]


def test_groups_are_those_of_exposed_units():
    found = report(observations(n=400))["fairness"]
    assert found["consented_units"] == 400
    assert [group["group"] for group in found["groups"]] == ["a", "b"]
    assert found["suppressed_groups"] == 1
