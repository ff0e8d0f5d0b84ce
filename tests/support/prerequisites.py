"""What a test needs and a machine may lack: skipped loudly on a developer's machine, a failure in CI.

The folder of optional test data (recordings and pictures under licences of their own) is no prerequisite: tests that
want it are skipped wherever it is absent.
"""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from runtime.errors import PrerequisiteError

REPOSITORY = Path(__file__).resolve().parents[2]


def in_ci() -> bool:
    """Whether a machine judges a change, not a person at work."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def missing(what: str) -> NoReturn:
    """Skip the test because set-up did not provide ``what``; with CI=true, fail it."""
    if in_ci():
        pytest.fail(f"missing prerequisite: {what}", pytrace=False)
    pytest.skip(f"MISSING PREREQUISITE: {what}")


def cache_dir() -> Path:
    """Where set-up keeps models, jars and samples: ``AFFECTSTREAM_CACHE_DIR``, or the product's default."""
    default = Path.home() / ".cache" / "affectstream"
    return Path(os.environ.get("AFFECTSTREAM_CACHE_DIR", default))


def shared_data(name: str) -> Path:
    """The folder or file ``name`` of the optional test data; skips the test if it is not there.

    The data lies in ``AFFECTSTREAM_TEST_DATA``, or in ``shared/data`` beside the repository.
    """
    root = Path(os.environ.get("AFFECTSTREAM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    path = root / name
    if not path.exists():
        pytest.skip(f"OPTIONAL TEST DATA: {path} does not exist (set AFFECTSTREAM_TEST_DATA)")
    return path


class required:  # noqa: N801 - reads as a statement: ``with required(): ...``
    """Turns a PrerequisiteError of the block into :func:`missing`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PrerequisiteError):
            missing(str(error))
