"""How a command of the same user finds the running analytics role: ``data_dir/analytics.json``, readable by them only.

The embedded engine belongs to the role's process, so ``affectstream report`` and ``affectstream sql`` must ask its API;
the file holds the API's address and an operator's token for it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

NAME: Final = "analytics.json"


@dataclass(frozen=True, slots=True)
class RunFile:
    """A running role: address, token, process."""

    url: str
    token: str
    pid: int


def write(data_dir: Path, running: RunFile) -> Path:
    """Put the file in place at once, with mode 0600."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / NAME
    fresh = path.with_suffix(f".{running.pid}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(running), file)
    fresh.replace(path)
    return path


def read(data_dir: Path) -> RunFile | None:
    """The running role, or None if there is none (or the one that wrote the file is gone)."""
    try:
        found = RunFile(**json.loads((data_dir / NAME).read_text(encoding="utf-8")))
        os.kill(found.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return found


def remove(data_dir: Path) -> None:
    """Remove the file if it is ours."""
    found = read(data_dir)
    if found is not None and found.pid == os.getpid():
        (data_dir / NAME).unlink(missing_ok=True)
