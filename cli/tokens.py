"""``affectstream token`` and ``affectstream token-key``: tokens signed offline, and new keys to sign them with."""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cli.terminal import read_settings, require_token_key, token_key_given
from runtime.errors import SettingsError
from runtime.tenancy import DEFAULT_TENANT, EVERY_TENANT, TENANT
from runtime.token_keys import rotated

LONGEST_H: Final = 24 * 366.0
SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
TenantOption = Annotated[
    str, typer.Option(help="Whose sessions; '*': every tenant's, for those who run the deployment.")
]


def checked_tenant(tenant: str) -> str:
    """``tenant``, if that can be one; raises SettingsError."""
    if tenant != EVERY_TENANT and TENANT.fullmatch(tenant) is None:
        raise SettingsError(f"--tenant: {tenant!r} is none: up to 63 letters, digits and ._-, a letter or digit first")
    return tenant


def token(
    scope: Annotated[
        list[str],
        typer.Option(
            help="create: start sessions; manage: read, erase; observe: the wall; analyse: the analyst page. With "
            "--session: watch, manage. May be repeated.",
        ),
    ],
    tenant: TenantOption = DEFAULT_TENANT,
    session: Annotated[
        str | None, typer.Option(help="For this session only, not for all of the tenant's.", show_default=False)
    ] = None,
    hours: Annotated[float, typer.Option(help="For how long it works.", min=0.01, max=LONGEST_H)] = 1.0,
) -> None:
    """Sign a token offline with the deployment's AFFECTSTREAM_TOKEN_KEY, which must be in the environment.

    A platform's own servers show one with the scope create to POST /v1/sessions and hand the answer to their users: the
    token in it opens that session only. Keep it secret, and short-lived where you can: it cannot be taken back alone.
    """
    from runtime.clock import SystemClock  # noqa: PLC0415
    from runtime.tokens import OPERATOR, TENANT_SCOPES, Grant, Tokens, scopes_of  # noqa: PLC0415

    possible: frozenset[str] = TENANT_SCOPES if session is None else frozenset({"watch", "manage"})
    if unknown := sorted(set(scope) - possible):
        raise SettingsError(f"--scope: {', '.join(unknown)} is not one of {', '.join(sorted(possible))}")
    if session is not None and SESSION_ID.fullmatch(session) is None:
        raise SettingsError("--session: that is no session's id")
    if tenant == EVERY_TENANT and (session is not None or "create" in scope):
        raise SettingsError("--tenant: a session is one tenant's: name it")
    require_token_key()
    now_s = SystemClock().now_us() // 1_000_000
    grant = Grant(session or OPERATOR, checked_tenant(tenant), scopes_of(scope), now_s + int(hours * 3_600))
    typer.echo(Tokens(read_settings().token_key).issue(grant, issued_at_s=now_s))
    until = datetime.fromtimestamp(grant.expires_at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    typer.echo(f"tenant {tenant}, {', '.join(sorted(grant.scopes))}, until {until}", err=True)


def token_key(
    keep_hours: Annotated[
        float, typer.Option(help="How long the key that signed until now still verifies.", min=0.0, max=LONGEST_H)
    ] = 24.0,
) -> None:
    """Print a new value for AFFECTSTREAM_TOKEN_KEY: a fresh key that signs, then those of the environment that verify.

    Tokens that the old key signed open what they did until they expire, or for --keep-hours. Give every process the
    new value; while some still have the old one, they refuse tokens of the new key: docs/security.md says how to avoid
    that.
    """
    from runtime.clock import SystemClock  # noqa: PLC0415

    fresh = secrets.token_hex(32)
    if not token_key_given():
        typer.echo(fresh)
        return
    now_s = SystemClock().now_us() // 1_000_000
    until_s = now_s + int(keep_hours * 3_600)
    typer.echo(rotated(read_settings().token_key, fresh, until_s=until_s, now_s=now_s))


COMMANDS: Final = (token, token_key)
