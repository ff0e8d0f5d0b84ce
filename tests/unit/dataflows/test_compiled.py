from pathlib import Path

import numba
import pytest

from dataflows import compiled, warm
from dataflows.core import fuse


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for cached in (compiled.cache_folder, compiled.cache_key):
        cached.cache_clear()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The package and the home of an imagined installation."""
    package, home = tmp_path / "site" / "dataflows", tmp_path / "home"
    package.mkdir(parents=True)
    home.mkdir()
    monkeypatch.setattr(compiled, "cache_key", lambda: "k")
    monkeypatch.setattr(compiled, "__file__", str(package / "compiled.py"))
    monkeypatch.setattr(Path, "home", lambda: home)
    return package / "__pycache__" / "numba-k", home / ".cache" / "affectstream" / "numba-k"


def test_code_is_kept_beside_the_sources(places: tuple[Path, Path]) -> None:
    assert compiled.cache_folder.__wrapped__() == places[0]


def test_a_warm_cache_is_read_where_nothing_can_be_written(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_writable", lambda _folder: False)
    assert compiled.cache_folder.__wrapped__() is None
    places[1].mkdir(parents=True)
    (places[1] / compiled.COMPLETE).touch()
    assert compiled.cache_folder.__wrapped__() == places[1]


def test_without_a_place_beside_the_sources_the_home_is_used(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_writable", lambda folder: folder == places[1])
    assert compiled.cache_folder.__wrapped__() == places[1]


def test_a_folder_that_cannot_be_made_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not compiled._writable(tmp_path / "file" / "folder")
    assert compiled._writable(tmp_path / "folder")


def test_the_key_names_the_sources() -> None:
    root = Path(compiled.__file__).parents[1]
    assert all((root / source).is_file() for source in compiled.RULES)
    modules = {
        f"dataflows/{path.name}" for path in (root / "dataflows").glob("*.py") if "@compiled" in path.read_text()
    }
    assert modules <= set(compiled.RULES) | {"dataflows/compiled.py"}


def test_warming_compiles_everything_and_says_so() -> None:
    warm.compile_all()
    folder = compiled.cache_folder()
    assert folder is not None
    assert (folder / compiled.COMPLETE).exists()
    assert fuse.signatures
    assert not fuse.targetoptions.get("fastmath")
    assert numba.config.CACHE_LOCATOR_CLASSES == ""


def test_warming_without_a_compiler_does_not_say_that_all_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setattr(warm, "cache_folder", lambda: tmp_path)
    warm.compile_all()
    assert not (tmp_path / compiled.COMPLETE).exists()
