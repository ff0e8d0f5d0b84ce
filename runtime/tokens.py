"""Tokens: short-lived, signed, for a session or all of a tenant's, with scopes, for some services only (JWT, HS256)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import jwt

from runtime.errors import TokenError
from runtime.tenancy import DEFAULT_TENANT, EVERY_TENANT
from runtime.token_keys import by_kid, parse_keys

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
    "create",
]
"""audio, video: send it; store_raw: raw media may be kept; fairness: errors may be compared by declared group; watch:
receive frames; manage: end the session; observe: see which sessions there are, and their avatars; analyse: read what
analytics knows of all sessions; face_on_device, speech_on_device: the client analyses that itself and sends features
instead of media; create: start sessions of the tenant."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
TENANT_SCOPES: Final[frozenset[Scope]] = frozenset({"manage", "observe", "analyse", "create"})
"""What a token for all of a tenant's sessions can hold."""

Audience = Literal["ingest", "egress", "analytics"]
"""The service that a token is shown to."""

AUDIENCES: Final[Mapping[Scope, frozenset[Audience]]] = {
    "audio": frozenset({"ingest"}),
    "video": frozenset({"ingest"}),
    "store_raw": frozenset({"ingest", "analytics"}),
    "fairness": frozenset({"ingest"}),
    "watch": frozenset({"ingest", "egress", "analytics"}),
    "manage": frozenset({"ingest", "analytics"}),
    "observe": frozenset({"egress", "analytics"}),
    "analyse": frozenset({"analytics"}),
    "face_on_device": frozenset({"ingest"}),
    "speech_on_device": frozenset({"ingest"}),
    "create": frozenset({"ingest"}),
}
"""Where each scope is of use: a token is for these services and refused by others."""
BEARER_PROTOCOL: Final = "bearer."
OPERATOR: Final = "*"
"""Stands for the session in tokens that are for all of the tenant's: with manage, their rows may be read and erased;
with observe, the wall of avatars may be seen; with analyse, the analyst page; with create, sessions started. None opens
a session's media."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows. The tenant is EVERY_TENANT in tokens of those who run the deployment, for all sessions."""

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
    """Issues and verifies tokens. Stateless, so that any process with the keys can verify."""

    def __init__(self, keys: str) -> None:
        """``keys``: as in the setting token_key, see :func:`runtime.token_keys.parse_keys`; ValueError if unusable."""
        parsed = parse_keys(keys)
        self._signing = parsed[0]
        self._by_kid = by_kid(parsed)

    def issue(self, grant: Grant, *, issued_at_s: int) -> str:
        """A token for ``grant``, signed with the newest key."""
        claims = {
            "sub": grant.session_id,
            "tenant": grant.tenant,
            "scope": " ".join(sorted(grant.scopes)),
            "timeline": grant.timeline,
            "start": grant.started_at_us,
            **({"variant": grant.variant} if grant.variant else {}),
            "aud": sorted({_named(each) for scope in grant.scopes for each in AUDIENCES[scope]}),
            "iat": issued_at_s,
            "exp": grant.expires_at_s,
        }
        return jwt.encode(claims, self._signing.secret, algorithm="HS256", headers={"kid": self._signing.kid})

    def operator(self, *, issued_at_s: int, ttl_s: int, tenant: str = EVERY_TENANT) -> str:
        """A token that opens the analytics API for the tenant's sessions, and nothing else."""
        grant = Grant(OPERATOR, tenant, frozenset({"manage"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def observer(self, *, issued_at_s: int, ttl_s: int, tenant: str = EVERY_TENANT) -> str:
        """A token that opens the wall, which shows the avatars of the tenant's sessions, and nothing else."""
        grant = Grant(OPERATOR, tenant, frozenset({"observe"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def analyst(self, *, issued_at_s: int, ttl_s: int, tenant: str = EVERY_TENANT) -> str:
        """A token that opens the analyst page: what is known of the tenant's sessions, and no change of it."""
        grant = Grant(OPERATOR, tenant, frozenset({"analyse"}), expires_at_s=issued_at_s + ttl_s)
        return self.issue(grant, issued_at_s=issued_at_s)

    def verify(self, token: str, *, now_s: float, audience: Audience) -> Grant:
        """The grant in ``token``, shown to ``audience``.

        Raises TokenError with reason ``malformed_token``, ``unknown_key``, ``wrong_audience`` or ``expired_token``.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise TokenError("malformed_token", f"the token is not one of ours: {error}") from error
        key = self._by_kid.get(kid) if isinstance(kid, str) else None
        if key is None or (key.until_s is not None and now_s >= key.until_s):
            raise TokenError("unknown_key", "the token was signed with a key that is not in use (any more)")
        try:
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=["HS256"],
                audience=_named(audience),
                options={"require": ["sub", "exp", "aud"], "verify_exp": False, "verify_iat": False},
            )
            grant = Grant(
                session_id=str(claims["sub"]),
                tenant=str(claims.get("tenant", DEFAULT_TENANT)),
                scopes=scopes_of(str(claims.get("scope", "")).split()),
                expires_at_s=int(claims["exp"]),
                timeline="recorded" if claims.get("timeline") == "recorded" else "live",
                started_at_us=int(claims.get("start", 0)),
                variant=str(claims.get("variant", "")),
            )
        except jwt.InvalidAudienceError as error:
            raise TokenError("wrong_audience", f"the token is not for {audience}: it opens other services") from error
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


def _named(audience: Audience) -> str:
    return f"affectstream/{audience}"


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """The known scopes among ``words``."""
    return frozenset(scope for scope in SCOPES if scope in set(words))
