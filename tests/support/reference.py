"""The fusion rules uncompiled: the same sources, imported a second time with numba's compiler off."""

import importlib
import sys
from functools import cache
from types import ModuleType

import numba


@cache
def uncompiled(name: str) -> ModuleType:
    """Module ``name`` of ``dataflows`` as plain Python. Its classes are not those of the compiled import."""
    return _second_import()[name]


@cache
def _second_import() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "dataflows"]
    first = {name: sys.modules.pop(name) for name in names}
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = 1
    try:
        importlib.import_module("dataflows.shard")
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "dataflows"}
    finally:
        numba.config.DISABLE_JIT = before
        for name in [name for name in sys.modules if name.partition(".")[0] == "dataflows"]:
            del sys.modules[name]
        sys.modules.update(first)
