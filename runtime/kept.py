"""Carrying records of sessions over, each sealed with its own session's key, before their log is cut.

Kafka deletes only whole beginnings of a partition: erasing one session from it takes what others said before. So that
is first written to the topic ``kept``, where it stays unreadable to all who lack the session's key, and becomes so to
everybody when that session is erased in its turn. Nothing is carried over twice.
"""

from runtime.keystore import KeyRing
from schemas.records import KeptRecord


def _binding(session: str, topic: str, partition: int, offset: int) -> bytes:
    return f"{session}|{topic}|{partition}|{offset}".encode()


def keep(
    keys: KeyRing, session_id: str, value: bytes, *, topic: str, partition: int, offset: int, published_at_ms: int
) -> KeptRecord | None:
    """The record as it is to be kept; None if its session was erased. Raises KeyStoreError."""
    seal = keys.made(session_id, "record")
    if seal is None:
        return None
    session = keys.store.digest(session_id)
    sealed = seal.seal(value, _binding(session, topic, partition, offset))
    return KeptRecord(session, topic, partition, offset, published_at_ms, sealed)


def restored(keys: KeyRing, session_id: str, record: KeptRecord) -> bytes | None:
    """The original value; None if its session was erased. Raises SealBroken, KeyStoreError."""
    seal = keys.seal(session_id, "record")
    if seal is None:
        return None
    return seal.open(record.value, _binding(record.session, record.topic, record.partition, record.offset))
