"""How the rules are compiled: one decorator, and where the machine code is kept.

Compiled without ``fastmath`` and without BLAS, so that the same source gives the same bits compiled and uncompiled
(``NUMBA_DISABLE_JIT=1``). The cache differs from numba's own in two ways. It is keyed by *all* the sources of this
package, for numba looks at one file only and would go on using a caller whose callee in another file has changed.
And a warm cache is read from a folder that cannot be written to, so that an image built once runs read-only.
"""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import llvmlite.binding
import numba
from numba.core.caching import UserProvidedCacheLocator

F = TypeVar("F", bound=Callable[..., Any])

RULES: Final = (
    "dataflows/alignment.py",
    "dataflows/attention.py",
    "dataflows/attention_trial.py",
    "dataflows/calibration.py",
    "dataflows/compiled.py",
    "dataflows/core.py",
    "dataflows/layout.py",
    "dataflows/mapping.py",
    "dataflows/mouth.py",
    "dataflows/quantisation.py",
    "dataflows/roster.py",
    "dataflows/smoothing.py",
    "dataflows/wire.py",
    "schemas/bulk.py",
    "schemas/fusion_config.py",
    "schemas/vocabulary.py",
)
"""The sources that machine code is made from."""

COMPLETE: Final = "complete"
"""Name of the file that :mod:`dataflows.warm` leaves beside a cache that holds everything."""


@cache
def cache_key() -> str:
    """What the machine code depends on: sources, numba, processor; 16 hex digits."""
    digest = hashlib.sha256()
    for source in RULES:
        digest.update((Path(__file__).parents[1] / source).read_bytes())
    cpu = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    digest.update(repr((numba.__version__, cpu)).encode())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def cache_folder() -> Path | None:
    """Where compiled code is read and written: beside the sources, else in the user's cache; None: nowhere.

    A complete cache wins over a writable place, so that a read-only installation that was warmed stays warm.
    """
    name = f"numba-{cache_key()}"
    places = (Path(__file__).parent / "__pycache__" / name, Path.home() / ".cache" / "affectstream" / name)
    for place in places:
        if (place / COMPLETE).exists():
            return place
    for place in places:
        if _writable(place):
            return place
    return None


class PackageCacheLocator(UserProvidedCacheLocator):
    """Tells numba to use :func:`cache_folder`; the folder's name stands for the freshness of the sources."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._cache_path = str(cache_folder())

    def ensure_cache_path(self) -> None:
        """Nothing to ensure: :func:`cache_folder` has looked."""

    def get_source_stamp(self) -> str:
        return cache_key()

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return cls(py_func, py_file)


def compiled(function: F) -> F:
    """Compile ``function`` to machine code on its first call, from the cache if it is there.

    It must not allocate arrays: without numba's counting of references, which took two thirds of the rules' time
    (a slice is a reference, and a count is an atomic instruction), nobody would free them.
    """
    if cache_folder() is None:
        return numba.njit(_nrt=False)(function)  # type: ignore[no-any-return]
    before = numba.config.CACHE_LOCATOR_CLASSES
    numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.PackageCacheLocator"
    try:
        return numba.njit(cache=True, _nrt=False)(function)  # type: ignore[no-any-return]
    finally:
        numba.config.CACHE_LOCATOR_CLASSES = before
