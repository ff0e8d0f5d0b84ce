"""Addresses of the page that carry a token. It stands in the fragment, which is neither sent nor logged."""

from runtime.clock import Clock
from runtime.settings import Settings
from runtime.tenancy import DEFAULT_TENANT
from runtime.tokens import Grant, Tokens


def watch_link(settings: Settings, clock: Clock, page: str, session_id: str, *, ttl_s: int) -> str:
    """Where the page shows this session; its token lets one watch and nothing else."""
    now_s = clock.now_us() // 1_000_000
    grant = Grant(session_id, DEFAULT_TENANT, frozenset({"watch"}), expires_at_s=now_s + ttl_s)
    return f"{page}/#session={session_id}&token={Tokens(settings.token_key).issue(grant, issued_at_s=now_s)}"


def wall_link(settings: Settings, clock: Clock, page: str, *, ttl_s: int, tenant: str = DEFAULT_TENANT) -> str:
    """Where the page shows the avatars of the tenant's live sessions; its token opens the wall and nothing else."""
    token = Tokens(settings.token_key).observer(issued_at_s=clock.now_us() // 1_000_000, ttl_s=ttl_s, tenant=tenant)
    return f"{page}/wall#token={token}"


def analyst_link(settings: Settings, clock: Clock, page: str, *, ttl_s: int, tenant: str = DEFAULT_TENANT) -> str:
    """Where the analyst page is; its token reads what analytics knows of the tenant, and changes nothing."""
    token = Tokens(settings.token_key).analyst(issued_at_s=clock.now_us() // 1_000_000, ttl_s=ttl_s, tenant=tenant)
    return f"{page}/analytics#token={token}"
