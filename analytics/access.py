"""Who may ask the API for what.

A session's own token opens that session. A token for all of a tenant's sessions (:data:`runtime.tokens.OPERATOR`) opens
those of that tenant and no others: what is asked of many is narrowed to ids with the tenant's tag, and another tenant's
session is answered as one that there is not. What cannot be narrowed is for those who run the deployment
(:data:`runtime.tenancy.EVERY_TENANT`).
"""

from typing import Annotated, Final

from fastapi import Depends, Path, Request

from analytics.errors import SessionUnknown
from runtime.addresses import client_address, parse_networks
from runtime.clock import Clock
from runtime.errors import AffectstreamError, TokenError
from runtime.rates import KeyedBuckets
from runtime.settings import Settings
from runtime.tenancy import EVERY_TENANT, owns, tenant_tag
from runtime.tokens import OPERATOR, Grant, Scope, Tokens, bearer

READ_SCOPES: Final[tuple[Scope, ...]] = ("watch", "manage")
OBSERVE_SCOPES: Final[tuple[Scope, ...]] = ("observe", "manage")
ANALYSE_SCOPES: Final[tuple[Scope, ...]] = ("analyse", "manage")
SessionId = Annotated[str, Path(max_length=128)]


class TooFast(AffectstreamError):  # noqa: N818 - a condition
    """An address or a tenant asks more often than it may."""


class Access:
    """The dependencies of the API's routes. Those that let in whoever asks of many sessions return the tenant's tag."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._tokens = Tokens(settings.token_key)
        self._clock = clock
        self._proxies = parse_networks(settings.trusted_proxies)
        self._by_address = KeyedBuckets(settings.requests_per_s)
        self._by_tenant = KeyedBuckets(settings.tenant_requests_per_s)
        granted = Annotated[Grant, Depends(self.grant)]

        def operator(grant: granted) -> str:
            if grant.session_id != OPERATOR or "manage" not in grant.scopes:
                raise TokenError("not_operator", "this needs an operator's token, not a session's or an observer's")
            return tenant_tag(grant.tenant)

        def platform(grant: granted) -> None:
            operator(grant)
            if grant.tenant != EVERY_TENANT:
                raise TokenError("not_platform", "this is of every tenant: it is for those who run the deployment")

        def observer(grant: granted) -> str:
            if grant.session_id != OPERATOR or not grant.scopes.intersection(OBSERVE_SCOPES):
                raise TokenError("not_observer", "this needs an observer's token: affectstream wall")
            return tenant_tag(grant.tenant)

        def analyst(grant: granted) -> str:
            if grant.session_id != OPERATOR or not grant.scopes.intersection(ANALYSE_SCOPES):
                raise TokenError("not_analyst", "this needs an analyst's token: affectstream analyst")
            return tenant_tag(grant.tenant)

        def analysed(session_id: SessionId, grant: granted) -> str:
            analyst(grant)
            return _of_tenant(session_id, grant)

        def reader(session_id: SessionId, grant: granted) -> str:
            if grant.session_id == OPERATOR:
                return analysed(session_id, grant)
            grant.require(session_id)
            if not grant.scopes.intersection(READ_SCOPES):
                raise TokenError("missing_scope", "the token lacks the scope 'watch'")
            return session_id

        def manager(session_id: SessionId, grant: granted) -> Grant:
            if grant.session_id != OPERATOR:
                grant.require(session_id)
            if "manage" not in grant.scopes:
                raise TokenError("missing_scope", "the token lacks the scope 'manage'")
            if grant.session_id == OPERATOR:
                _of_tenant(session_id, grant)
            return grant

        self.operator, self.platform, self.observer, self.analyst = operator, platform, observer, analyst
        self.analysed, self.reader, self.manager = analysed, reader, manager

    def grant(self, request: Request) -> Grant:
        """What the request's token allows; raises TokenError, TooFast."""
        now_us = self._clock.now_us()
        peer = request.client.host if request.client else ""
        address = client_address(peer, request.headers.get("x-forwarded-for"), self._proxies)
        if not self._by_address.take(address, now_us):
            raise TooFast(f"at most {self._by_address.rate_per_s:g} requests a second from one address: wait")
        # Only the header: a query's token would end up in logs and histories, and nothing here needs one.
        token = bearer(request.headers.get("authorization"), (), None)
        grant = self._tokens.verify(token, now_s=now_us / 1_000_000, audience="analytics")
        if grant.tenant != EVERY_TENANT and not self._by_tenant.take(grant.tenant, now_us):
            raise TooFast(f"at most {self._by_tenant.rate_per_s:g} requests a second of one tenant: wait")
        return grant


def _of_tenant(session_id: str, grant: Grant) -> str:
    if not owns(grant.tenant, session_id):
        raise SessionUnknown(f"no session {session_id}")
    return session_id
