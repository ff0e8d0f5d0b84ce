"""The keys that sign tokens, as one setting says them: the newest first, which signs; the others still verify."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

MIN_KEY_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key."""

    kid: str
    """Names the key in a token's header; made of the key, so that nobody has to name it."""
    secret: str = field(repr=False)
    until_s: int | None = None
    """From this instant on (seconds since the Unix epoch) it verifies nothing; None: while it is listed."""


def parse_keys(text: str) -> tuple[TokenKey, ...]:
    """The keys of ``KEY,KEY@2026-12-31T12:00:00Z,…``, the newest first; ValueError says which is wrong, never what."""
    keys = tuple(_key(n, entry.strip()) for n, entry in enumerate(text.split(","), 1))
    if keys[0].until_s is not None:
        raise ValueError("the first key signs: it cannot have an end")
    if len({key.kid for key in keys}) < len(keys):
        raise ValueError("the same key stands there twice")
    return keys


def by_kid(keys: tuple[TokenKey, ...]) -> Mapping[str, TokenKey]:
    """The keys by their names."""
    return {key.kid: key for key in keys}


def _key(number: int, entry: str) -> TokenKey:
    secret, _, until = entry.partition("@")
    if len(secret) < MIN_KEY_CHARACTERS:
        msg = f"key {number} has {len(secret)} characters: at least {MIN_KEY_CHARACTERS} are needed"
        raise ValueError(msg)
    until_s = None
    if until:
        try:
            instant = datetime.fromisoformat(until)
        except ValueError as error:
            msg = f"key {number}: what stands after @ is no instant such as 2026-12-31T12:00:00Z"
            raise ValueError(msg) from error
        until_s = int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())
    kid = hashlib.blake2b(secret.encode(), digest_size=4, person=b"token key").hexdigest()
    return TokenKey(kid, secret, until_s)


def rotated(text: str, new: str, *, until_s: int, now_s: int) -> str:
    """The setting with ``new`` in front, which signs from now on; the one before it ends at ``until_s``.

    Keys whose end has come are left out.
    """
    kept = []
    for n, key in enumerate(parse_keys(text)):
        end_s = until_s if n == 0 else key.until_s
        if end_s is None:
            kept.append(key.secret)
        elif end_s > now_s:
            kept.append(f"{key.secret}@{datetime.fromtimestamp(end_s, UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}")
    return ",".join([new, *kept])
