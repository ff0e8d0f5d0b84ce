"""The wall: one connection that shows many sessions' avatars, for those who run the service. Pure: time is an argument.

To the hub each session that is picked is a viewer of its own, with the bounds and the bookkeeping of any other; all of
them write to the one socket. Besides, the wall is told every second which sessions have frames at all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from egress.hub import Format, Sink, Viewer
from runtime.tenancy import EVERY_TENANT, owns, tenant_tag

WALL_PATH: Final = "/v1/wall"
MAX_PICKED: Final = 64
MAX_PRESENT: Final = 5_000
"""More sessions than this are not told of; the newest frames come first."""

SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class WallConnection:
    """What all viewers of one wall share."""

    wall_id: str
    format: Format
    sink: Sink
    expires_at_us: int
    tenant: str = EVERY_TENANT
    """Whose sessions it may show."""


class Wall:
    """The sessions that one wall shows; ``join`` and ``leave`` are told of each that is picked and of each dropped."""

    def __init__(
        self, connection: WallConnection, join: Callable[[Viewer], None], leave: Callable[[Viewer], None]
    ) -> None:
        self._connection = connection
        self._join = join
        self._leave = leave
        self._viewers: dict[str, Viewer] = {}

    def pick(self, session_ids: Sequence[str]) -> None:
        """Show these sessions, and no others, from now on."""
        wanted = set(session_ids)
        for session_id in self._viewers.keys() - wanted:
            self._leave(self._viewers.pop(session_id))
        for session_id in session_ids:
            if session_id not in self._viewers:
                viewer = Viewer(
                    viewer_id=self._connection.wall_id,
                    session_id=session_id,
                    format=self._connection.format,
                    sink=self._connection.sink,
                    expires_at_us=self._connection.expires_at_us,
                    ends_with_session=False,
                )
                self._viewers[session_id] = viewer
                self._join(viewer)

    def close(self) -> None:
        """Show nothing more."""
        self.pick(())


def picked(message: Mapping[str, Any], tenant: str = EVERY_TENANT) -> list[str]:
    """The sessions that a ``watch`` message names, those that are the tenant's; raises ValueError with a reason.

    Others are left out without a word: to this wall there are no such sessions.
    """
    named = message.get("sessions")
    if not isinstance(named, list) or not all(isinstance(one, str) and SESSION_ID.fullmatch(one) for one in named):
        raise ValueError("watch: sessions must be a list of session ids")
    if len(named) > MAX_PICKED:
        raise ValueError(f"watch: at most {MAX_PICKED} sessions at once")
    return [one for one in dict.fromkeys(named) if owns(tenant, one)]


def presence(newest_ms: Mapping[str, int], now_us: int, tenant: str = EVERY_TENANT) -> dict[str, Any]:
    """The message ``presence``: for how many milliseconds each session of the tenant has had no new frame."""
    tag = tenant_tag(tenant)
    mine = ((session_id, at_ms) for session_id, at_ms in newest_ms.items() if session_id.startswith(tag))
    newest = sorted(mine, key=lambda item: item[1], reverse=True)[:MAX_PRESENT]
    now_ms = now_us // 1_000
    return {
        "type": "presence",
        "server_us": now_us,
        "quiet_ms": {session_id: max(0, now_ms - at_ms) for session_id, at_ms in newest},
    }
