"""ICE restarts (RFC 8445, section 2.4; over WHIP RFC 9725, section 4.3.3), which aiortc does not know.

A restart is a second ICE session on the sockets of the first, with credentials of its own: checks are told apart by the
user fragment that they are addressed to. The first session carries everything until the second has a nominated pair,
which then takes over its state; DTLS, SRTP and the data channels above notice nothing but another address to send to.
A restart of which nothing comes leaves the first session as it was.
"""

import asyncio
from typing import Any, Final

from aioice import Candidate, Connection
from aioice.stun import Message

RESTART_S: Final = 15.0
"""A restart that has no pair by then is given up. The peer is freed long before if nothing else is heard of it."""

TAKEN_OVER: Final = (
    "ice_controlling", "remote_username", "remote_password", "_local_username", "_local_password", "_tie_breaker",
    "_remote_candidates", "_remote_candidates_end", "_check_list", "_check_list_done", "_check_list_state",
    "_early_checks_done", "_nominated", "_nominating", "_components",
)  # fmt: skip
"""What of aioice's connection is of one ICE session, and none of the sockets' and the queue's."""

USED: Final = (
    *TAKEN_OVER, "_protocols", "_closing", "_local_candidates", "_local_candidates_start", "_local_candidates_end",
    "_query_consent_task", "query_consent", "request_received", "connect",
)  # fmt: skip
"""All that is used here; where one is absent, there is no restart."""


def restartable(kept: Any) -> bool:
    """Whether a connection of aioice can be restarted: it has a pair, and is built as it is known here."""
    return all(hasattr(kept, name) for name in USED) and bool(kept._nominated) and not kept._closing


class Restart:
    """One restart of one connection; :meth:`run` carries it out."""

    def __init__(self, kept: Any, user_fragment: str, password: str) -> None:
        """Credentials are the other side's new ones."""
        self._kept = kept
        self._fresh: Any = Connection(kept.ice_controlling)
        self._fresh.remote_is_lite = kept.remote_is_lite
        self._fresh.remote_username, self._fresh.remote_password = user_fragment, password
        self._over = False
        self._fresh._protocols = list(kept._protocols)
        self._fresh._local_candidates = list(kept._local_candidates)
        self._fresh._local_candidates_start = self._fresh._local_candidates_end = True

    @property
    def user_fragment(self) -> str:
        """Ours, new."""
        return str(self._fresh.local_username)

    @property
    def password(self) -> str:
        """Ours, new."""
        return str(self._fresh.local_password)

    def take(self, check: Message, address: tuple[str, int], protocol: Any) -> bool:
        """Take a check that came in on one of the sockets, if it is addressed to this restart."""
        if self._over or not str(check.attributes.get("USERNAME", "")).startswith(f"{self.user_fragment}:"):
            return False
        self._fresh.request_received(check, address, protocol)
        return True

    async def add(self, candidate: Candidate) -> None:
        """Try one more candidate of the other side. That none follows is of no use: their checks may still come."""
        await self._fresh.add_remote_candidate(candidate)

    async def run(self) -> bool:
        """Whether the connection has gone over. Cancelled or not: what this restart held is freed then."""
        try:
            async with asyncio.timeout(RESTART_S):
                await self._fresh.connect()
            # From here to the end nothing else runs: no check and no datagram falls between the sessions.
            if not restartable(self._kept):
                return False
            take_over(self._kept, self._fresh)
            self._over = True
            return True
        except (ConnectionError, TimeoutError):
            return False
        finally:
            self._fresh._protocols = []  # the sockets are not its own
            await self._fresh.close()


def take_over(kept: Any, fresh: Any) -> None:
    """Have one connection go on as the ICE session of another, which has connected on the same sockets."""
    for pair in kept._check_list:
        if pair.task is not None:
            pair.task.cancel()
    for connection in (kept, fresh):
        if connection._query_consent_task is not None:
            connection._query_consent_task.cancel()
    for name in TAKEN_OVER:
        setattr(kept, name, getattr(fresh, name))
    fresh._check_list, fresh._nominated = [], {}
    fresh._query_consent_task = None
    kept._query_consent_task = asyncio.get_running_loop().create_task(kept.query_consent())
