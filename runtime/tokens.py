"""Session tokens: short-lived, signed, bound to one session and to scopes (JWT, HS256)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import jwt

from runtime.errors import TokenError

Scope = Literal[
    "audio",
    "video",
    "store_raw",
    "fairness",
    "watch",
    "manage",
    "observe",
    "analyse",
    "face_on_device",
    "speech_on_device",
]
"""audio, video: send it; store_raw: raw media may be kept; fairness: errors may be compared by declared group; watch:
receive frames; manage: end the session; observe: see which sessions there are, and their avatars; analyse: read what
analytics knows of all sessions; face_on_device, speech_on_device: the client analyses that itself and sends features
instead of media."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
AUDIENCE: Final = "affectstream"
BEARER_PROTOCOL: Final = "bearer."
OPERATOR: Final = "*"
"""Stands for the session in tokens that are for all of them: with manage, every session's rows may be read; with
observe, the wall of avatars may be seen; with analyse, the analyst page. None opens a session's media."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows."""

    session_id: str
    tenant: str
    scopes: frozenset[Scope]
    expires_at_s: int
    timeline: Literal["live", "recorded"] = "live"
    started_at_us: int = 0
    """When the session started, on the edge's clock: any edge can go on with the session, knowing only its token."""
    variant: str = ""
    """``experiment/variant`` of a session that takes part in one: who shows it knows what is seen."""

    def require(self, session_id: str, scope: Scope | None = None) -> None:
        """Raise TokenError unless this grant is for ``session_id`` and holds ``scope``."""
        if self.session_id != session_id:
            raise TokenError("wrong_session", "the token is for another session")
        if scope is not None and scope not in self.scopes:
            raise TokenError("missing_scope", f"the token lacks the scope {scope!r}")


class Tokens:
    """Issues and verifies tokens with one key. Stateless, so that any process with the key can verify."""

    def __init__(self, key: str) -> None:
        self._key = key

    def issue(self, grant: Grant, *, issued_at_s: int) -> str:
        """A token for ``grant``."""
        claims = {
            "sub": grant.session_id,
            "tenant": grant.tenant,
            "scope": " ".join(sorted(grant.scopes)),
            "timeline": grant.timeline,
            "start": grant.started_at_us,
            **({"variant": grant.variant} if grant.variant else {}),
            "aud": AUDIENCE,
            "iat": issued_at_s,
            "exp": grant.expires_at_s,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def operator(self, *, issued_at_s: int, ttl_s: int, tenant: str = "default") -> str:
        """A token that opens the analytics API for every session, and nothing else."""
        grant = Grant(OPERATOR, tenant, frozenset({"manage"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def observer(self, *, issued_at_s: int, ttl_s: int, tenant: str = "default") -> str:
        """A token that opens the wall, which shows every session's avatar, and nothing else."""
        grant = Grant(OPERATOR, tenant, frozenset({"observe"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def analyst(self, *, issued_at_s: int, ttl_s: int, tenant: str = "default") -> str:
        """A token that opens the analyst page: what is known of every session, to be read and not to be changed."""
        grant = Grant(OPERATOR, tenant, frozenset({"analyse"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def verify(self, token: str, *, now_s: float) -> Grant:
        """The grant in ``token``; raises TokenError with reason ``malformed_token`` or ``expired_token``."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["sub", "exp", "aud"], "verify_exp": False, "verify_iat": False},
            )
            grant = Grant(
                session_id=str(claims["sub"]),
                tenant=str(claims.get("tenant", "default")),
                scopes=scopes_of(str(claims.get("scope", "")).split()),
                expires_at_s=int(claims["exp"]),
                timeline="recorded" if claims.get("timeline") == "recorded" else "live",
                started_at_us=int(claims.get("start", 0)),
                variant=str(claims.get("variant", "")),
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise TokenError("malformed_token", f"the token is not one of ours: {error}") from error
        # Time is an argument: PyJWT would read the clock itself.
        if now_s >= grant.expires_at_s:
            raise TokenError("expired_token", "the token has expired: ask for a new session")
        return grant


def bearer(authorization: str | None, subprotocols: Iterable[str], query_token: str | None) -> str:
    """The token that a request carries; raises TokenError with reason ``missing_token``.

    It stands in the header ``Authorization: Bearer <token>``, in a WebSocket subprotocol ``bearer.<token>`` (browsers
    cannot set headers there), or in the query's ``token``, in this order.
    """
    if authorization is not None and authorization.lower().startswith("bearer "):
        return authorization[7:].strip()
    for entry in subprotocols:
        for protocol in entry.split(","):
            if protocol.strip().startswith(BEARER_PROTOCOL):
                return protocol.strip()[len(BEARER_PROTOCOL) :]
    if query_token:
        return query_token
    raise TokenError("missing_token", "no token: send Authorization: Bearer, subprotocol bearer.<token> or ?token=")


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """The known scopes among ``words``."""
    return frozenset(scope for scope in SCOPES if scope in set(words))
