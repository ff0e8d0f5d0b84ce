"""Fusion for a process that only reads: a session's signals through the rules again, here and now."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from dataflows.shard import Message, Shard
from dataflows.warm import compile_all

BATCH: Final = 4_096


compiled = cache(compile_all)


def fuse_session(session_id: str, signals: Sequence[bytes]) -> list[bytes]:
    """The session's avatar frames of encoded signals in log order, by the shard that production runs.

    Other sessions of the partition change nothing of a session's frames. The first call loads the compiled rules.
    """
    compiled()
    shard, key = Shard(0, 1), session_id.encode()
    messages: list[Message] = [(offset, key, value) for offset, value in enumerate(signals)]
    return [
        value
        for begin in range(0, len(messages), BATCH)
        for _, value in shard.step(messages[begin : begin + BATCH]).frames
    ]
