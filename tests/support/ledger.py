"""What the ledger says became of things."""

from collections.abc import Iterable

from schemas.records import LedgerEntry


def accounted(entries: Iterable[LedgerEntry], session: str) -> list[int]:
    """Every sequence of a session in the ledger, as often as it stands there."""
    return sorted(
        sequence
        for entry in entries
        if entry.session_id == session
        for sequence in range(entry.first_sequence, entry.last_sequence + 1)
    )
