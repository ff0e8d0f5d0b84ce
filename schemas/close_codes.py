"""Close codes of the product's WebSockets (4000 to 4999 are the application's own, RFC 6455, 7.4.2).

``docs/protocol.md`` explains each to client authors.
"""

from enum import IntEnum
from typing import Final


class CloseCode(IntEnum):
    """Why an edge closed a connection."""

    NORMAL = 1000
    RESTARTING = 1012
    MALFORMED = 4400
    BAD_TOKEN = 4401
    FORBIDDEN = 4403
    REPLACED = 4409
    SESSION_ENDED = 4410
    TOO_LARGE = 4413
    TOO_FAST = 4429
    UNAVAILABLE = 4503


FINAL: Final = frozenset(
    {
        CloseCode.NORMAL,
        CloseCode.MALFORMED,
        CloseCode.BAD_TOKEN,
        CloseCode.FORBIDDEN,
        CloseCode.REPLACED,
        CloseCode.SESSION_ENDED,
        CloseCode.TOO_LARGE,
    }
)
"""Codes after which connecting again with the same token and the same behaviour cannot succeed."""
