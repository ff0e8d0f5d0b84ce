"""Where avatar messages come from that this edge sends over its peers' data channels.

Egress makes them, in a process of its own or in this one. The two packages know nothing of each other: what is written
here is all that the edge asks for, and whoever starts the process (``cli``) brings them together.
"""

from typing import Literal, Protocol

from schemas.close_codes import CloseCode

Wire = Literal["json", "cbor", "binary"]


class FeedSink(Protocol):
    """A viewer's end of a feed."""

    def congested(self, now_us: int) -> bool:
        """Whether the viewer does not keep up: nothing more should be written now."""
        ...

    def write(self, message: str | bytes) -> None:
        """Write one message; never blocks."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Say why nothing more comes, and close; never blocks."""
        ...


class Viewing(Protocol):
    """One viewer of a session."""

    def take(self, message: str | bytes) -> None:
        """Take a message of the viewer's; one that breaks the protocol closes its sink."""
        ...

    def leave(self) -> None:
        """Send nothing more."""
        ...


class AvatarFeed(Protocol):
    """Avatar messages of any session. Used in the event loop's thread only."""

    async def watch(
        self, session_id: str, wire: Wire, expires_at_us: int, sink: FeedSink, *, variant: str = ""
    ) -> Viewing:
        """Write ``welcome`` and then every message of the session to ``sink``; ends when ``leave`` is called.

        ``variant``: as in the session's grant.

        Returns once every frame that is published from then on will come; may be cancelled before.
        """
        ...

    async def close(self) -> None:
        """End the feed."""
        ...
