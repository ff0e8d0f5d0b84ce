"""Whose session it is, where there are several edges: taken over, let go, ended everywhere. In the event loop only."""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from ingest.sessions import Session, SessionOver
from runtime.logs import session_tag
from runtime.rates import BURST_S
from runtime.session_state import Limit, Progress, session_state
from runtime.tokens import Grant
from schemas.records import EndReason

if TYPE_CHECKING:
    from ingest.edge import Edge

log = logging.getLogger(__name__)

SHARE_S: Final = 1.0


class Sharing:
    """What one edge tells the others of its sessions, and hears of theirs."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._state = session_state(edge.settings.redis_url, edge.settings.topic_prefix)
        self._name = f"{edge.settings.instance}-{secrets.token_hex(4)}"
        """Unlike every other edge's, and unlike this one's before it was restarted."""
        self._telling: set[asyncio.Task[None]] = set()

    async def arrive(self, grant: Grant) -> Session:
        """The session of a verified token for a connection that begins: from now on this edge serves it.

        An edge that served it before lets it go. Raises SessionOver, also if it has ended elsewhere, and KeyStoreError.
        """
        edge, session_id = self._edge, grant.session_id
        reason = await self._state.ended(session_id)
        if reason is not None:
            raise SessionOver(cast("EndReason", reason))
        new = edge.sessions.get(session_id) is None
        session = edge.take_up(grant)
        before = await self._state.own(session_id, self._name)
        if new and before not in {None, self._name}:
            known = await self._state.progress(session_id)
            session.go_on({} if known is None else known.received)
            edge.metrics.count("sessions_taken_over_total")
            log.info("session %s goes on here; edge %s served it before", session_tag(session_id), before)
        return session

    async def may_start(self, whose: str, key: str, rate_per_s: float) -> bool:
        """Whether one more session may start now for this address or tenant, over all edges; it is counted if so."""
        limit = Limit(rate_per_s, rate_per_s * BURST_S)
        return await self._state.take(f"starts:{whose}:{key}", limit, self._edge.clock.now_us())

    def ended(self, session_id: str, reason: EndReason) -> None:
        """Tell everybody that a session has ended; does not wait for that."""
        task = asyncio.create_task(self._state.end(session_id, reason))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def foreign(self, session_ids: Sequence[str]) -> frozenset[str]:
        """Those of these sessions that another edge serves."""
        if not session_ids:
            return frozenset()
        owners = await self._state.owners(session_ids)
        return frozenset(session_id for session_id, owner in owners.items() if owner != self._name)

    async def run(self) -> None:
        """Tell of the sessions here, and let those go that others serve or have ended; runs until cancelled."""
        edge = self._edge
        while True:
            await asyncio.sleep(SHARE_S)
            here: Mapping[str, Session] = {session.session_id: session for session in edge.sessions}
            served = {
                session_id: Progress({modality.value: at for modality, at in session.acknowledged.items()})
                for session_id, session in here.items()
                if session.connections
            }
            await self._state.keep(served, self._name)
            owners = await self._state.owners(list(here))
            for session_id in here:
                owner = owners.get(session_id)
                if owner is None and (reason := await self._state.ended(session_id)) is not None:
                    edge.let_go(session_id, cast("EndReason", reason))
                elif owner not in {None, self._name}:
                    edge.let_go(session_id)

    async def close(self) -> None:
        """Wait for what is being told."""
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._state.close()
