from pathlib import Path

import numba
import pytest

from runtime import compiled
from runtime.compiled import COMPLETE, CodeCache

SOURCE = "runtime/compiled.py"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Beside the package and in the home of an imagined installation."""
    package, home = tmp_path / "site" / "dataflows", tmp_path / "home"
    package.mkdir(parents=True)
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    name = f"numba-{CodeCache(package, [SOURCE]).key}"
    return package / "__pycache__" / name, home / ".cache" / "affectstream" / name


def cache(places: tuple[Path, Path]) -> CodeCache:
    return CodeCache(places[0].parents[1], [SOURCE])


def test_code_is_kept_beside_the_sources(places: tuple[Path, Path]) -> None:
    assert cache(places).folder == places[0]


def test_a_warm_cache_is_read_where_nothing_can_be_written(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_writable", lambda _folder: False)
    assert cache(places).folder is None
    assert not cache(places).is_complete()
    places[1].mkdir(parents=True)
    (places[1] / COMPLETE).touch()
    assert cache(places).folder == places[1]
    assert cache(places).is_complete()


def test_without_a_place_beside_the_sources_the_home_is_used(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_writable", lambda folder: folder == places[1])
    assert cache(places).folder == places[1]


def test_a_folder_that_cannot_be_made_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not compiled._writable(tmp_path / "file" / "folder")
    assert compiled._writable(tmp_path / "folder")


def test_other_sources_are_another_cache(places: tuple[Path, Path]) -> None:
    assert CodeCache(places[0].parents[1], ["runtime/clock.py"]).key != cache(places).key


def test_code_is_compiled_into_the_cache_and_read_from_it(places: tuple[Path, Path]) -> None:
    def twice(x: int) -> int:
        return 2 * x

    first, second = cache(places).compiled(twice), cache(places).compiled(twice)
    assert first(3) == second(4) - 2 == 6
    assert (first.stats.cache_hits.total(), second.stats.cache_hits.total()) == (0, 1)
    assert list(places[0].glob("*.nbi"))
    assert not first.targetoptions.get("fastmath")
    assert numba.config.CACHE_LOCATOR_CLASSES == ""


def test_a_cache_is_complete_when_somebody_says_so(places: tuple[Path, Path]) -> None:
    one = cache(places)
    assert not one.is_complete()
    one.completed()
    assert one.is_complete()


def test_without_a_compiler_nothing_is_complete(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    one = cache(places)
    one.completed()
    assert not one.is_complete()
