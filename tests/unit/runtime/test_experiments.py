import pytest

from runtime.errors import SettingsError
from runtime.experiments import MAX_BYTES, read_experiments

GOOD = """
name: smiles
status: running
salt: 2026-11-28
control: off
variants:
  off: {}
  on: {parameters: {au12_gain: 1.5}}
"""


def test_texts_stay_texts(tmp_path):
    """YAML would make truths of on and off, and a date of the salt."""
    (tmp_path / "smiles.yaml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not looked at")
    (found,) = read_experiments(tmp_path)
    assert [variant.name for variant in found.variants] == ["off", "on"]
    assert found.salt == "2026-11-28"


def test_no_folder_is_no_experiment():
    assert len(read_experiments("")) == 0


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("smiles.yaml", GOOD + "  on: {}\n", "'on' stands there twice"),
        ("other.yaml", GOOD, "its name says 'smiles': the file must be smiles.yaml"),
        ("smiles.yml", GOOD, "name it smiles.yaml"),
        ("smiles.yaml", "a: [", "is no YAML"),
        ("smiles.yaml", "- a", "must be a mapping"),
        ("smiles.yaml", "a: &x [*x]", "smiles.yaml"),
        ("smiles.yaml", "#" * (MAX_BYTES + 1), "at most"),
        ("smiles.yaml", GOOD.replace("1.5", "9"), "smiles.yaml: variants.on.parameters: au12_gain = 9.0 is outside"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_experiments(tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_all_bad_files_are_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("name: x")
    with pytest.raises(SettingsError) as caught:
        read_experiments(tmp_path)
    assert {"a.yaml", "b.yaml"} <= {line.split("/")[-1].split(":")[0] for line in str(caught.value).splitlines()}


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match="is no folder"):
        read_experiments(tmp_path / "none")
