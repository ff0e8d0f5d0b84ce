"""Folders and imports are as ARCHITECTURE.md says; `make check` runs import-linter besides."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("analytics", "cli", "client", "dataflows", "egress", "inference_workers", "ingest", "runtime", "schemas")
STDLIB_CLOCKS = {"time", "datetime"}


def sources():
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_the_top_level_is_the_documented_one():
    top = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    assert {*PACKAGES, "infra", "tests", "web", "docs"} <= top
    assert top <= {*PACKAGES, "infra", "tests", "web", "docs", "benchmarks", "dist", "build"}
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").exists(), package
    assert not (ROOT / "__init__.py").exists()


def test_the_wheel_holds_every_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == sorted(PACKAGES)


def test_no_module_is_a_drawer_for_everything():
    assert not [path for path in sources() if path.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_every_module_says_what_it_is_for():
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_unit_tests_mirror_the_sources():
    strays = []
    for test in (ROOT / "tests" / "unit").rglob("test_*.py"):
        package = test.relative_to(ROOT / "tests" / "unit").parent
        subject = ROOT / package / (test.stem.removeprefix("test_") + ".py")
        candidates = [subject, subject.with_suffix("")]
        if not any(c.exists() for c in candidates) and not list((ROOT / package).rglob(subject.name)):
            strays.append(str(test.relative_to(ROOT)))
    assert strays == []
