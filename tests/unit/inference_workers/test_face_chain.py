import re
from pathlib import Path

import pytest
import yaml

from inference_workers import face_chain
from runtime.errors import ModelError
from schemas.vocabulary import EMOTIONS
from tests.support.prerequisites import REPOSITORY

EXAMPLE = REPOSITORY / "docs" / "face-chain.yaml"
SIX = ["happiness", "Anger", "sad", "SURPRISE", "fear", "disgusted"]


def described(**changes):
    """A description with one head that says emotions, with changes to its output."""
    output = {"says": "emotions", "labels": ["neutral", "happy"], "activation": "softmax", **changes}
    return {
        "name": "mine", "version": "2", "licence": "MIT",
        "heads": [{"file": "head.onnx", "input": {"size": 48}, "outputs": [output]}],
    }  # fmt: skip


def written(folder: Path, raw) -> Path:
    path = folder / "chain.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    return path


def loaded(folder: Path, raw) -> face_chain.FaceChain:
    return face_chain.load(written(folder, raw))


def test_the_documented_example_is_one():
    chain = face_chain.load(EXAMPLE)
    assert chain.named == "chain:affectnet_b0@1"
    assert chain.detector.file == EXAMPLE.parent / "face_detection_yunet_2023mar.onnx"
    emotions, affect = chain.heads[0].outputs
    assert emotions.words == ("angry", None, "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert (affect.first, affect.words) == (8, ("valence", "arousal"))
    assert chain.heads[1].outputs[0].words == ("AU01", "AU02", "AU04", "AU06", "AU12", None, "AU25")


def test_so_is_the_short_one(tmp_path):
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (output,) = loaded(tmp_path, text).heads[0].outputs
    assert sorted(output.words) == sorted(EMOTIONS)


def test_files_are_those_beside_the_description(tmp_path):
    assert loaded(tmp_path, described()).heads[0].file == tmp_path / "head.onnx"
    absolute = described()
    absolute["heads"][0]["file"] = "/models/head.onnx"
    assert loaded(tmp_path, absolute).heads[0].file == Path("/models/head.onnx")


def test_what_corpora_call_our_emotions_is_known(tmp_path):
    (output,) = loaded(tmp_path, described(labels=SIX)).heads[0].outputs
    assert output.words == ("happy", "angry", "sad", "surprise", "fear", "disgust")


@pytest.mark.parametrize("label", ["AU12", "au12", "AU_12", "12"])
def test_action_units_by_their_usual_names(tmp_path, label):
    raw = described(says="action_units", labels=[label, "AU1"], activation="sigmoid", map={"12": "AU12"})
    if label != "12":
        raw["heads"][0]["outputs"][0].pop("map")
    (output,) = loaded(tmp_path, raw).heads[0].outputs
    assert output.words == ("AU12", "AU01")


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"labels": ["neutral", "contempt"]}, r"heads\.0\.outputs\.0: labels: 'contempt' is none of neutral, .*map"),
        ({"map": {"contempt": "none"}}, "map: contempt: no such label"),
        ({"labels": ["none"]}, "none of them says anything"),
        ({"labels": []}, r"heads\.0\.outputs\.0\.labels: "),
        ({"activation": "relu"}, r"heads\.0\.outputs\.0\.activation: .*'softmax', 'sigmoid'"),
        ({"range": [0, 1]}, "they have no range"),
        ({"temperature": 0}, r"temperature: .*greater than 0"),
        ({"says": "affect", "labels": ["valence"]}, "which affect do not"),
        ({"says": "affect", "labels": ["valence"], "activation": "none", "range": [1, 1]}, "1.0 is not below 1.0"),
        ({"says": "action_units", "labels": ["AU1", "AU01"], "activation": "none"}, "AU01 is said twice"),
        ({"says": "action_units", "labels": ["AU99"], "activation": "none"}, "'AU99' is none of AU01, "),
        ({"says": "age"}, r"heads\.0\.outputs\.0\.says: "),
        ({"colour": "rgb"}, r"heads\.0\.outputs\.0\.colour: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_where(tmp_path, changes, said):
    with pytest.raises(ModelError, match=rf"(?s)chain\.yaml describes no chain that can be used:\n.*{said}"):
        loaded(tmp_path, described(**changes))


@pytest.mark.parametrize(
    "given, said",
    [
        ({"size": 224, "mean": [1, 2]}, "mean: 2 numbers for 3 channels"),
        ({"size": 224, "std": [0, 1, 1]}, "greater than 0"),
        ({"size": 224, "layout": "nhw"}, "no place for colours"),
        ({"size": 5000}, r"input\.size: "),
        ({}, r"heads\.0\.input\.size: Field required"),
    ],
)
def test_inputs_that_cannot_be(tmp_path, given, said):
    raw = described()
    raw["heads"][0]["input"] = given
    with pytest.raises(ModelError, match=said):
        loaded(tmp_path, raw)


def test_each_thing_is_said_once(tmp_path):
    twice = described()
    twice["heads"].append(twice["heads"][0])
    with pytest.raises(ModelError, match=r"heads\.1\.outputs\.0: heads\.0\.outputs\.0 says emotions already"):
        loaded(tmp_path, twice)


def test_a_head_says_something_and_versions_may_be_numbers(tmp_path):
    assert loaded(tmp_path, {**described(), "version": 1.5}).named == "chain:mine@1.5"
    silent = described()
    silent["heads"][0]["outputs"] = []
    with pytest.raises(ModelError, match=r"heads\.0: outputs: there are none"):
        loaded(tmp_path, silent)


def test_a_detector_alone_is_a_chain_and_nothing_is_none(tmp_path):
    alone = {"name": "d", "version": "1", "licence": "MIT", "detector": {"file": "d.onnx"}}
    assert loaded(tmp_path, alone).heads == ()
    with pytest.raises(ModelError, match="neither heads nor a detector"):
        loaded(tmp_path, {"name": "d", "version": "1", "licence": "MIT"})


@pytest.mark.parametrize("field, value", [("name", "My Net"), ("version", ""), ("licence", ""), ("name", "a" * 41)])
def test_names_are_fit_for_records(tmp_path, field, value):
    with pytest.raises(ModelError, match=f"  {field}: "):
        loaded(tmp_path, {**described(), field: value})


@pytest.mark.parametrize(
    "text, said",
    [
        ("- a\n- b\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("name: [", "is no YAML"),
        ("name: !!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)
def test_other_files(tmp_path, text, said):
    with pytest.raises(ModelError, match=said):
        loaded(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"no\.yaml cannot be read"):
        face_chain.load(tmp_path / "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"bytes\.yaml cannot be read"):
        face_chain.load(tmp_path / "bytes.yaml")


def on_a_server(url="grpc://triton:8001/affectnet_b0", **more):
    raw = described()
    raw["heads"][0].pop("file")
    raw["heads"][0] |= {"server": url} | more
    return raw


def test_a_network_may_be_on_a_server(tmp_path):
    (head,) = loaded(tmp_path, on_a_server()).heads
    assert (head.file, head.server, head.batch) == (None, "grpc://triton:8001/affectnet_b0", 8)
    assert head.where == "grpc://triton:8001/affectnet_b0"
    assert loaded(tmp_path, on_a_server(batch=4)).heads[0].batch == 4


@pytest.mark.parametrize(
    "more, said",
    [
        ({"file": "head.onnx"}, r"heads\.0: a network is either in a file or on a server"),
        ({"batch": 0}, r"heads\.0\.batch: "),
        ({"url": "triton:8001"}, r"heads\.0\.server: .*is not scheme://host:port/model"),
        ({"url": "grpc://triton:8001/a/b"}, r"heads\.0\.server: .*is not scheme://host:port/model"),
        ({"url": "grpc://me:secret@triton:8001/a"}, r"heads\.0\.server: .*a secret belongs in .*FACE_TOKEN"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be(tmp_path, more, said):
    with pytest.raises(ModelError, match=said) as refused:
        loaded(tmp_path, on_a_server(**more))
    assert "secret@" not in str(refused.value)


def test_a_network_is_somewhere_and_files_take_no_batches(tmp_path):
    nowhere = described()
    nowhere["heads"][0].pop("file")
    with pytest.raises(ModelError, match="either in a file or on a server"):
        loaded(tmp_path, nowhere)
    alone = described()
    alone["heads"][0]["batch"] = 4
    with pytest.raises(ModelError, match="batch: only servers are given several faces at once"):
        loaded(tmp_path, alone)
