"""What edges know of each other's sessions: who serves one, how far it is, which have ended, who asks too much.

It lasts as long as the sessions. Nothing here is needed to replay or to count: that is all in the log.

One edge alone keeps it in its own memory (:class:`LocalState`). Several share it in Redis (:class:`SharedState`, by
``REDIS_URL``): then a client goes on at any of them, an edge lets a session go that another one serves now, a session
that has ended stays so everywhere, and limits count all edges together. When Redis does not answer, each edge goes on
by what it knows itself, as if it were alone, and comes back by itself.

Both fulfil the contract of :class:`SessionState` (tests/contract/test_session_state.py).
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from runtime.errors import SettingsError
from runtime.rates import TokenBucket

log = logging.getLogger(__name__)

T = TypeVar("T")

OWNED_S: Final = 60.0
"""An owner that does not say so again is forgotten."""
ENDED_S: Final = 24 * 3_600.0
"""As long as the longest token lasts."""
MOST_REMEMBERED: Final = 100_000
"""Of each kind, in memory; the oldest are forgotten first."""
ANSWER_S: Final = 0.5
"""Clients wait for it."""
CONNECT_S: Final = 2.0
QUEUE_S: Final = 2.0
"""So long one waits for a connection while all are in use."""
RETRY_S: Final = 1.0
"""After a failure nothing is asked for so long."""
CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """So many a second, sustained, and so many at once."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session's media had come, by modality, when its edge said so last."""

    received: Mapping[str, int]


class SessionState(Protocol):
    """What is shared. Nothing raises: without an answer the edge decides by itself."""

    async def own(self, session_id: str, edge: str) -> str | None:
        """Make the edge the one that serves the session; returns which did before, None if none is known."""
        ...

    async def owners(self, session_ids: Sequence[str]) -> Mapping[str, str]:
        """Who serves these sessions, as far as anyone is known to."""
        ...

    async def keep(self, progress: Mapping[str, Progress], edge: str) -> None:
        """Say that the edge still serves these sessions, and how far they are.

        Those that another one owns, and those that have ended, are left.
        """
        ...

    async def progress(self, session_id: str) -> Progress | None:
        """How far the session had come, if anyone has said so."""
        ...

    async def end(self, session_id: str, reason: str) -> None:
        """The session has ended; the first reason counts."""
        ...

    async def ended(self, session_id: str) -> str | None:
        """Why the session has ended, if it has."""
        ...

    async def take(self, what: str, limit: Limit, now_us: int) -> bool:
        """Whether one more of ``what`` is within its limit; it is counted if so."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LocalState:
    """In this process's memory."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._owners: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._progress: OrderedDict[str, Progress] = OrderedDict()
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    async def own(self, session_id: str, edge: str) -> str | None:
        before = self._owner(session_id)
        self._owners[session_id] = edge, self._seconds() + OWNED_S
        _bound(self._owners, session_id)
        return before

    async def owners(self, session_ids: Sequence[str]) -> Mapping[str, str]:
        found = {session_id: self._owner(session_id) for session_id in session_ids}
        return {session_id: owner for session_id, owner in found.items() if owner is not None}

    async def keep(self, progress: Mapping[str, Progress], edge: str) -> None:
        for session_id, how_far in progress.items():
            if self._owner(session_id) in {None, edge} and session_id not in self._ended:
                self._owners[session_id] = edge, self._seconds() + OWNED_S
                _bound(self._owners, session_id)
                self._progress[session_id] = how_far
                _bound(self._progress, session_id)

    async def progress(self, session_id: str) -> Progress | None:
        return self._progress.get(session_id)

    async def end(self, session_id: str, reason: str) -> None:
        self._ended.setdefault(session_id, reason)
        _bound(self._ended, session_id)
        self._owners.pop(session_id, None)
        self._progress.pop(session_id, None)

    async def ended(self, session_id: str) -> str | None:
        return self._ended.get(session_id)

    async def take(self, what: str, limit: Limit, now_us: int) -> bool:
        bucket = self._buckets.setdefault(what, TokenBucket(limit.per_s, limit.burst))
        _bound(self._buckets, what)
        return bucket.take(now_us)

    async def close(self) -> None:
        return

    def _owner(self, session_id: str) -> str | None:
        owner, until_s = self._owners.get(session_id, ("", 0.0))
        return owner if owner and self._seconds() < until_s else None


_KEEP: Final = """
for i = 1, #KEYS / 2 do
  local key = KEYS[i]
  local owner = redis.call('HGET', key, 'edge')
  if (not owner or owner == ARGV[1]) and redis.call('EXISTS', KEYS[#KEYS / 2 + i]) == 0 then
    redis.call('HSET', key, 'edge', ARGV[1], unpack(cjson.decode(ARGV[i + 2])))
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
"""
_OWN: Final = """
local before = redis.call('HGET', KEYS[1], 'edge')
redis.call('HSET', KEYS[1], 'edge', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return before
"""
_TAKE: Final = """
local tokens, at = unpack(redis.call('HMGET', KEYS[1], 'tokens', 'at'))
local rate, burst, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
tokens, at = tonumber(tokens or burst), tonumber(at or now)
if now > at then tokens = math.min(burst, tokens + (now - at) * 1e-6 * rate) else now = at end
local taken = 0
if tokens >= 1 then tokens, taken = tokens - 1, 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return taken
"""


class SharedState:
    """In Redis, shared with all edges that name the same one; every key begins with ``prefix``."""

    def __init__(self, url: str, prefix: str = "", *, answer_s: float = ANSWER_S) -> None:
        """``answer_s``: an answer that takes longer does not come. Raises SettingsError."""
        self._answer_s = answer_s
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=max(QUEUE_S, answer_s),
                socket_timeout=answer_s,
                socket_connect_timeout=max(CONNECT_S, answer_s),
                decode_responses=True,
                health_check_interval=10,
            )
        except ValueError as error:
            raise SettingsError(f"REDIS_URL cannot be used: {error}") from error
        self._redis: Redis = Redis.from_pool(pool)
        self._prefix = f"{prefix}affectstream:"
        self._local = LocalState()
        self._quiet_until_s = 0.0
        self._probing = False
        self.away = False
        """Whether Redis did not answer when it was asked last."""
        self._own = self._redis.register_script(_OWN)
        self._keep = self._redis.register_script(_KEEP)
        self._take = self._redis.register_script(_TAKE)

    async def own(self, session_id: str, edge: str) -> str | None:
        known = await self._local.own(session_id, edge)
        arguments: list[str | int] = [edge, round(OWNED_S * 1_000)]
        return cast("str | None", await self._ask(self._own([self._session(session_id)], arguments), known))

    async def owners(self, session_ids: Sequence[str]) -> Mapping[str, str]:
        if not session_ids:
            return {}

        async def ask() -> Mapping[str, str]:
            async with self._redis.pipeline(transaction=False) as pipe:
                for session_id in session_ids:
                    pipe.hget(self._session(session_id), "edge")
                found = await pipe.execute()
            return {each: owner for each, owner in zip(session_ids, found, strict=True) if owner}

        return await self._ask(ask(), await self._local.owners(session_ids))

    async def keep(self, progress: Mapping[str, Progress], edge: str) -> None:
        await self._local.keep(progress, edge)
        if not progress:
            return
        keys = [*map(self._session, progress), *map(self._ended, progress)]
        arguments: list[bytes | int | str] = [edge, round(OWNED_S * 1_000)]
        arguments += [
            orjson.dumps([part for name, at in how_far.received.items() for part in (name, str(at))] or ["-", "0"])
            for how_far in progress.values()
        ]
        await self._ask(self._keep(keys, arguments), None)

    async def progress(self, session_id: str) -> Progress | None:
        known = await self._local.progress(session_id)
        asking = cast("Awaitable[Mapping[str, str] | None]", self._redis.hgetall(self._session(session_id)))
        found = await self._ask(asking, None)
        if not found:
            return known
        return Progress({name: int(at) for name, at in found.items() if name not in {"edge", "-"}})

    async def end(self, session_id: str, reason: str) -> None:
        await self._local.end(session_id, reason)

        async def ask() -> None:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(self._ended(session_id), reason, px=round(ENDED_S * 1_000), nx=True)
                pipe.delete(self._session(session_id))
                await pipe.execute()

        await self._ask(ask(), None)

    async def ended(self, session_id: str) -> str | None:
        found = cast("str | None", await self._ask(self._redis.get(self._ended(session_id)), None))
        return await self._local.ended(session_id) if found is None else found

    async def take(self, what: str, limit: Limit, now_us: int) -> bool:
        arguments = [limit.per_s, limit.burst, now_us]
        answer = await self._ask(self._take([f"{self._prefix}limit:{what}"], arguments), None)
        return await self._local.take(what, limit, now_us) if answer is None else bool(answer)

    async def close(self) -> None:
        await self._redis.aclose()

    def _session(self, session_id: str) -> str:
        return f"{self._prefix}session:{session_id}"

    def _ended(self, session_id: str) -> str:
        return f"{self._prefix}ended:{session_id}"

    async def _ask(self, asking: Awaitable[T], otherwise: T) -> T:
        """The answer, or ``otherwise`` where there is none in time."""
        if self.away and (self._probing or time.monotonic() < self._quiet_until_s):
            # One at a time tries whether it is back: nobody else waits for that.
            if asyncio.iscoroutine(asking):
                asking.close()
            return otherwise
        self._probing = self.away
        try:
            async with asyncio.timeout(2 * self._answer_s + CONNECT_S + QUEUE_S):
                answer = await asking
        except (RedisError, OSError, TimeoutError) as error:
            self._quiet_until_s = time.monotonic() + RETRY_S
            if not self.away:
                log.warning("Redis does not answer, this edge goes on by itself: %s", error or type(error).__name__)
            self.away = True
            return otherwise
        finally:
            self._probing = False
        if self.away:
            log.info("Redis answers again")
        self.away = False
        return answer


def session_state(url: str, prefix: str = "") -> SessionState:
    """The state that ``url`` (``REDIS_URL``) names; empty: in this process. Raises SettingsError."""
    return SharedState(url, prefix) if url else LocalState()


def _bound(kept: "OrderedDict[str, Any]", newest: str) -> None:
    kept.move_to_end(newest)
    if len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)
