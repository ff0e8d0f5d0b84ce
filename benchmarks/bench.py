"""What every benchmark has: somebody to tell how far it is, a folder to work in, and the machine's name."""

import platform
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psutil

from runtime.settings import Settings

Progress = Callable[[str], None]

UNLIMITED: Final[Mapping[str, float]] = MappingProxyType(
    dict.fromkeys(("starts_per_s", "tenant_starts_per_s", "requests_per_s", "tenant_requests_per_s"), 1e6)
)
"""Settings for a load whose clients are all of one address and one tenant: their limits are not what is measured."""


def scratch(settings: Settings) -> AbstractContextManager[Path]:
    """A folder for the runs, on the data directory's disk."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    found = tempfile.TemporaryDirectory(prefix="bench-", dir=settings.data_dir, ignore_cleanup_errors=True)
    return _Folder(found)


class _Folder(AbstractContextManager[Path]):
    def __init__(self, found: "tempfile.TemporaryDirectory[str]") -> None:
        self._found = found

    def __enter__(self) -> Path:
        return Path(self._found.name)

    def __exit__(self, *_details: object) -> None:
        self._found.cleanup()


def machine() -> str:
    """Processor, cores and memory in words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{name}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release().partition('-')[0]}"
