"""Waiting for conditions with a deadline: tests never sleep for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    condition: Callable[[], T],
    *,
    deadline_s: float = 10.0,
    every_s: float = 0.02,
    what: str | Callable[[], str] = "",
) -> T:
    """The first truthy answer of ``condition``; AssertionError with its last answer when the deadline has passed.

    ``what`` says what was waited for; a function is asked only then, and can tell how far it came.
    """
    until = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {deadline_s:g} s: {said or condition}; last answer: {answer!r}")
        time.sleep(every_s)


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], *, deadline_s: float = 10.0, every_s: float = 0.02, what: str = ""
) -> T:
    """:func:`eventually` for coroutines; ``condition`` may be plain or a coroutine function."""
    until = time.monotonic() + deadline_s
    while True:
        answer = condition()
        value: T = await answer if isinstance(answer, Awaitable) else answer
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {deadline_s:g} s: {what or condition}; last answer: {value!r}")
        await asyncio.sleep(every_s)
