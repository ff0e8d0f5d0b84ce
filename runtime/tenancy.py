"""Which tenant a session belongs to: its id says so.

An id begins with a tag of its tenant's name. So whoever meets an id can tell whose it is without asking anybody: a
relay that reads nothing but keys, a table sorted by session, a journal of sessions whose rows are gone. Ids are made by
the edge alone, and a tag says nothing but that two sessions have the same tenant.
"""

import hashlib
import re
import secrets
from typing import Final

DEFAULT_TENANT: Final = "default"
EVERY_TENANT: Final = "*"
"""In tokens of those who run the deployment: all sessions, whosever they are, also those that no edge has named."""

TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TAG_BYTES: Final = 6
RANDOM_BYTES: Final = 12


def tenant_tag(tenant: str) -> str:
    """What ids of the tenant's sessions begin with, 12 hexadecimal digits; nothing for :data:`EVERY_TENANT`."""
    if tenant == EVERY_TENANT:
        return ""
    return hashlib.blake2b(tenant.encode(), digest_size=TAG_BYTES, person=b"tenant").hexdigest()


def new_session_id(tenant: str) -> str:
    """An id that nobody can guess, of a session of ``tenant``; ValueError if that cannot be a tenant's name."""
    if TENANT.fullmatch(tenant) is None:
        msg = f"{tenant!r} cannot be a tenant: up to 63 letters, digits and ._- are, a letter or digit first"
        raise ValueError(msg)
    return tenant_tag(tenant) + secrets.token_hex(RANDOM_BYTES)


def owns(tenant: str, session_id: str) -> bool:
    """Whether the session is the tenant's."""
    return session_id.startswith(tenant_tag(tenant))
