"""How code is compiled: one decorator, and where the machine code is kept.

Compiled without ``fastmath`` and without BLAS, so that the same source gives the same bits compiled and uncompiled
(``NUMBA_DISABLE_JIT=1``). The cache differs from numba's own in two ways. It is keyed by *all* the sources that belong
together, for numba looks at one file only and would go on using a caller whose callee in another file has changed.
And a warm cache is read from a folder that cannot be written to, so that an image built once runs read-only.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import llvmlite.binding
import numba
from numba.core.caching import UserProvidedCacheLocator

F = TypeVar("F", bound=Callable[..., Any])

ROOT: Final = Path(__file__).parents[1]
COMPLETE: Final = "complete"
"""Name of the file that stands beside a cache that holds everything."""


class CodeCache:
    """Machine code made from sources that belong together."""

    def __init__(self, package: Path, sources: Sequence[str]) -> None:
        """``package`` is the folder beside whose sources the code is kept, ``sources`` are below the root."""
        self._package = package
        self.sources = tuple(sources)

    @cached_property
    def key(self) -> str:
        """What the machine code depends on: sources, numba, processor; 16 hex digits."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update((ROOT / source).read_bytes())
        cpu = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
        digest.update(repr((numba.__version__, cpu)).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def folder(self) -> Path | None:
        """Where compiled code is read and written: beside the sources, else in the user's cache; None: nowhere.

        A complete cache wins over a writable place, so that a read-only installation that was warmed stays warm.
        """
        name = f"numba-{self.key}"
        places = (self._package / "__pycache__" / name, Path.home() / ".cache" / "affectstream" / name)
        for place in places:
            if (place / COMPLETE).exists():
                return place
        for place in places:
            if _writable(place):
                return place
        return None

    def is_complete(self) -> bool:
        """Whether everything has been compiled before."""
        return self.folder is not None and (self.folder / COMPLETE).exists()

    def completed(self) -> None:
        """Note that everything has been compiled; without a compiler nothing has."""
        if self.folder is not None and not numba.config.DISABLE_JIT and not self.is_complete():
            (self.folder / COMPLETE).touch()

    def compiled(self, function: F) -> F:
        """Compile ``function`` to machine code on its first call, from the cache if it is there.

        It must not allocate arrays: without numba's counting of references, which took two thirds of the rules' time
        (a slice is a reference, and a count is an atomic instruction), nobody would free them.
        """
        if self.folder is None:
            return numba.njit(_nrt=False)(function)  # type: ignore[no-any-return]
        before = numba.config.CACHE_LOCATOR_CLASSES
        numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.PackageCacheLocator"
        PackageCacheLocator.cache = self
        try:
            return numba.njit(cache=True, _nrt=False)(function)  # type: ignore[no-any-return]
        finally:
            numba.config.CACHE_LOCATOR_CLASSES = before


class PackageCacheLocator(UserProvidedCacheLocator):
    """Tells numba to use :attr:`CodeCache.folder`; the folder's name stands for the freshness of the sources."""

    cache: ClassVar[CodeCache]
    """Of what is being decorated: numba makes locators then, and is given nothing but their class's name."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._key = self.cache.key
        self._cache_path = str(self.cache.folder)

    def ensure_cache_path(self) -> None:
        """Nothing to ensure: :attr:`CodeCache.folder` has looked."""

    def get_source_stamp(self) -> str:
        return self._key

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return cls(py_func, py_file)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
