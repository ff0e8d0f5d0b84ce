"""How an event loop fares: how late it wakes, and how much of a core its thread uses."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """Since the look before."""

    lag_s: float
    """How much later than asked for the loop woke."""
    cpu: float
    """Share of a core that the loop's thread used."""


async def looks(every_s: float) -> AsyncIterator[Look]:
    """One look each ``every_s``, without end; iterate in the loop that is looked at."""
    loop = asyncio.get_running_loop()
    at_s, used_s = loop.time(), time.thread_time()
    while True:
        await asyncio.sleep(every_s)
        now_s, now_used_s = loop.time(), time.thread_time()
        elapsed_s = max(now_s - at_s, 1e-6)
        yield Look(max(0.0, elapsed_s - every_s), (now_used_s - used_s) / elapsed_s)
        at_s, used_s = now_s, now_used_s
