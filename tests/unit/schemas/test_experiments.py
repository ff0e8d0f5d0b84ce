import copy

import pytest

from schemas.experiments import Candidate, Catalogue, ExperimentError, parse_experiment, position
from schemas.records import ExperimentAssignment

GOOD = {
    "name": "mapping-style",
    "hypothesis": "People find a livelier avatar more like them.",
    "status": "running",
    "salt": "2026-11",
    "traffic": "0.5",
    "control": "blend",
    "variants": {
        "blend": {"weight": "3"},
        "style": {"weight": "1", "mapping": "emotion_style", "parameters": {"tau_face_ms": "80"}},
    },
}
LIVE = Candidate("p-1", "live", audio=True, video=True)


def written(**changes):
    found = copy.deepcopy(GOOD)
    for name, value in changes.items():
        if value is None:
            del found[name]
        else:
            found[name] = value
    return found


def test_a_definition_is_read_with_shares_and_whole_configurations():
    found = parse_experiment(GOOD)
    assert [(v.name, v.share, v.config.mapping) for v in found.variants] == [
        ("blend", 0.75, "blend"), ("style", 0.25, "emotion_style")
    ]  # fmt: skip
    assert found.variant("style").config.parameters["tau_face_ms"] == 80.0
    assert found.variant("style").config.parameters["tau_pose_ms"] == 60.0, "what is not written is the default"
    assert found.assignment(found.variants[1]) == ExperimentAssignment("mapping-style", "style", "2026-11")


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"name": None}, "name: is missing"),
        ({"name": "Two Words"}, "name: "),
        ({"control": "other"}, "control: 'other' is none of the variants: blend, style"),
        ({"traffic": "0"}, "traffic: Input should be greater than 0 (it says '0')"),
        ({"trafic": "1"}, "trafic: there is no such field"),
        ({"status": "on"}, "status: "),
        ({"primary": "happiness"}, "primary: "),
        ({"variants": {"blend": {}}}, "variants: "),
        ({"variants": {"blend": {}, "b": {"parameters": {"tau_fase_ms": "1"}}}}, "unknown fusion parameter"),
        ({"variants": {"blend": {}, "b": {"parameters": {"tau_face_ms": "-1"}}}}, "tau_face_ms = -1.0 is outside"),
        ({"variants": {"blend": {}, "b": {"weight": "nan", "mapping": "direct_au"}}}, "variants.b.weight: "),
        ({"variants": {"blend": {}, "b": {}}}, "the same configuration as b"),
        ({"variants": {"blend": {}, "b": {"mapping": "direct"}}}, "variants.b.mapping: "),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_where_and_why(changes, told):
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(written(**changes))
    assert told in str(caught.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(written(traffic="2", salt="", extra="x"))
    assert len(str(caught.value).splitlines()) == 3


def test_what_is_no_mapping_is_refused():
    with pytest.raises(ExperimentError, match="must be a mapping"):
        parse_experiment(["a"])


def test_an_a_a_run_says_so_in_its_name():
    found = parse_experiment(written(name="aa-check", variants={"blend": {}, "same": {}}))
    assert found.variants[0].config == found.variants[1].config


def test_only_running_experiments_of_which_the_session_is_one_are_assigned():
    def assigned(candidate, **changes):
        return Catalogue([parse_experiment(written(traffic="1", **changes))]).assign(candidate)

    assert assigned(LIVE) is not None
    assert assigned(LIVE, status="draft") is None
    assert assigned(LIVE, status="stopped") is None
    recorded = Candidate("p-1", "recorded", audio=True, video=True)
    assert assigned(recorded) is None
    assert assigned(recorded, eligible={"timeline": "recorded"}) is not None
    silent = Candidate("p-1", "live", audio=False, video=True)
    assert assigned(silent, eligible={"audio": "true"}) is None
    assert assigned(silent, eligible={"video": "true"}) is not None


def test_the_first_by_priority_takes_a_session_and_the_next_what_it_leaves():
    first = parse_experiment(written(name="zz", priority="-1", traffic="0.5"))
    second = parse_experiment(written(name="aa", traffic="1"))
    catalogue = Catalogue([second, first])
    for i in range(50):
        found = catalogue.assign(Candidate(f"p-{i}", "live", audio=True, video=True))
        assert found is not None
        assert found[0].name == ("zz" if first.admits(f"p-{i}") else "aa")


def test_a_position_is_what_the_documentation_says():
    # A draw must never change: subjects would change sides.
    assert position("variant", "mapping-style", "2026-11", "p-17") == 0.7346571387561139
