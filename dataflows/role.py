"""The fusion role: the dataflow in this process, one worker, recovering from its store."""

import ctypes
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bytewax._bytewax import cli_main
from bytewax.recovery import RecoveryConfig

from dataflows.context import Context, Interrupted
from dataflows.fusion import build
from dataflows.ownership import Ownership
from dataflows.store import opened_store
from dataflows.warm import compile_all
from runtime.errors import AffectstreamError, RecoveryError
from runtime.garbage import collect_rarely
from runtime.kafka import wait_for_broker
from runtime.lifecycle import Role

log = logging.getLogger(__name__)

KEPT_BYTES: Final = 256 << 20
MALLOC_TRIM_THRESHOLD: Final = -1
MALLOC_MMAP_THRESHOLD: Final = -3
LARGEST_MMAP_THRESHOLD: Final = 32 << 20
"""glibc's numbers, from its malloc.h."""
EPOCH: Final = timedelta(seconds=2)
"""How often everything is made durable; a crash repeats at most so much, and latency does not depend on it."""


def keep_freed_memory() -> None:
    """Have the C library keep what snapshots and batches let go of, rather than give it back to the kernel.

    To get megabytes anew each epoch, page by page and cleared, took a third of a snapshot's time. Elsewhere than with
    glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MALLOC_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(MALLOC_TRIM_THRESHOLD, KEPT_BYTES)


def run(role: Role, owned: Sequence[int] | None = None) -> None:
    """Fuse the given partitions (default: all) until ``role.stop``.

    Blocks. Raises RecoveryError if it cannot go on exactly where it stopped or another process fuses these partitions,
    BrokerError if Kafka refuses.
    """
    wait_for_broker(role.settings, stopped=role.stop.is_set)
    if role.stop.is_set():
        return
    compile_all()
    keep_freed_memory()
    collect_rarely()
    context = Context.build(role.settings, role.metrics, role.clock, role.stop, owned)
    with opened_store(role.settings, context.owned, context.partitions) as store:
        context.ownership = Ownership.take(role.settings, store)
        log.info("fusing partitions %s of %d, recovering from %s", store.title, context.partitions, store.path)
        try:
            cli_main(  # type: ignore[no-untyped-call]  # compiled from Rust
                build(context), epoch_interval=EPOCH, recovery_config=RecoveryConfig(str(store.path))
            )
        except BaseException as error:
            known = _cause(error)
            if isinstance(known, Interrupted):
                log.warning("stopped while the broker did not answer: the last epoch will be done again")
            elif isinstance(known, AffectstreamError):
                raise known from error
            elif "recovery" in type(error).__name__.lower() or "sqlite" in str(error).lower():
                raise RecoveryError(f"the recovery store {store.path} cannot be used: {error}") from error
            else:
                raise
        finally:
            context.ownership.close()
            role.metrics.ready(False)


def _cause(error: BaseException) -> BaseException | None:
    """The error of ours that Bytewax wrapped, if any."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (AffectstreamError, Interrupted)):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
