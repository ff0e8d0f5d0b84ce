"""The fusion role, telling another process at every moment what it is at: ``python -m cli.observed FILE [PARTITIONS]``.

It is the very role, with a byte of a shared file written before and after what it does. Crash verification reads that
byte to choose a moment, and to say afterwards what a kill has hit.
"""

import mmap
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

from cli.partitions import parse_partitions
from cli.roles import RoleName, run_role
from runtime.errors import AffectstreamError
from runtime.settings import Settings

PHASES: Final = (
    "starting",
    "claiming",
    "restoring",
    "waiting",
    "fusing",
    "writing",
    "flushing",
    "snapshot",
    "storing",
    "between",
)
"""What a process can be at, by the value of the byte.

starting: before its claim; restoring: from there to the first record; waiting: for records; fusing: in the shard's
step, mid-batch; writing: handing frames to the Kafka client; flushing: waiting for acknowledgements at an epoch's end;
snapshot: taking a shard's snapshot; storing: from a snapshot until the next records, which is when Bytewax writes the
epoch to its recovery store; between: from one of the others to the next.
"""
WORKING: Final = PHASES.index("waiting")
"""From this phase on the process has recovered."""


class PhaseFile:
    """The byte, for the process that looks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"\0")
        with path.open("r+b") as file:
            self._byte = mmap.mmap(file.fileno(), 1)

    def reset(self) -> None:
        """Back to starting."""
        self._byte[0] = 0

    @property
    def phase(self) -> int:
        """Index into :data:`PHASES`."""
        return self._byte[0]


def observe(path: Path) -> None:
    """From now on write to ``path`` what the dataflow of this process is at."""
    from dataflows.fuse import ShardLogic  # noqa: PLC0415 - heavy: only the observed process needs it
    from dataflows.ownership import Ownership  # noqa: PLC0415
    from dataflows.sink import FramePartition  # noqa: PLC0415
    from dataflows.source import SignalReader  # noqa: PLC0415

    with path.open("r+b") as file:
        byte = mmap.mmap(file.fileno(), 1)

    def note(owner: type, name: str, during: str, after: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)
        first, then = PHASES.index(during), PHASES.index(after)

        @wraps(inner)
        def outer(*args: Any, **kwargs: Any) -> Any:
            byte[0] = first
            try:
                return inner(*args, **kwargs)
            finally:
                byte[0] = then

        setattr(owner, name, outer)

    note(Ownership, "__init__", "claiming", "restoring")
    note(SignalReader, "fill", "waiting", "between")
    note(ShardLogic, "on_batch", "fusing", "between")
    note(ShardLogic, "snapshot", "snapshot", "storing")
    note(FramePartition, "write_batch", "writing", "between")
    note(FramePartition, "snapshot", "flushing", "storing")


def main() -> None:
    """Be the role until SIGTERM; the settings come from the environment."""
    observe(Path(sys.argv[1]))
    owned = parse_partitions(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        run_role(RoleName.FUSION, Settings.from_env(os.environ), owned)
    except AffectstreamError as error:
        sys.exit(f"affectstream: {error}")


if __name__ == "__main__":
    main()
