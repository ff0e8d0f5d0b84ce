"""Tokens signed offline, and new keys."""

import pytest
from typer.testing import CliRunner

from cli.main import app
from runtime.clock import SystemClock
from runtime.errors import SettingsError
from runtime.tokens import OPERATOR, Tokens

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("AFFECTSTREAM_TOKEN_KEY", KEY)


def test_a_tenants_servers_get_a_token_to_start_sessions(key):
    answer = CliRunner().invoke(app, ["token", "--tenant", "acme", "--scope", "create", "--hours", "2"])
    assert answer.exit_code == 0, answer.output
    now_s = SystemClock().now_us() / 1e6
    grant = Tokens(KEY).verify(answer.stdout.strip(), now_s=now_s, audience="ingest")
    assert (grant.session_id, grant.tenant, grant.scopes) == (OPERATOR, "acme", {"create"})
    assert now_s + 7_190 < grant.expires_at_s <= now_s + 7_200
    assert answer.stderr.startswith("tenant acme, create, until ")


def test_one_session_can_be_opened_alone(key):
    answer = CliRunner().invoke(app, ["token", "--session", "s1", "--scope", "watch", "--scope", "manage"])
    grant = Tokens(KEY).verify(answer.stdout.strip(), now_s=SystemClock().now_us() / 1e6, audience="egress")
    assert (grant.session_id, grant.tenant, grant.scopes) == ("s1", "default", {"watch", "manage"})


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--scope", "audio"], "--scope: audio"),
        (["--scope", "create", "--session", "s1"], "--scope: create"),
        (["--scope", "create", "--tenant", "*"], "--tenant: a session is one tenant's"),
        (["--scope", "manage", "--tenant", "a b"], "--tenant: 'a b' is none"),
        (["--scope", "watch", "--session", "../x"], "--session"),
    ],
)
def test_what_no_token_can_be_made_of_is_said(key, arguments, said):
    answer = CliRunner().invoke(app, ["token", *arguments])
    assert isinstance(answer.exception, SettingsError)
    assert said in str(answer.exception)


def test_without_the_deployments_key_nothing_is_signed(monkeypatch):
    monkeypatch.delenv("AFFECTSTREAM_TOKEN_KEY", raising=False)
    answer = CliRunner().invoke(app, ["token", "--scope", "create"])
    assert isinstance(answer.exception, SettingsError)


def test_keys_are_made_and_rotated(monkeypatch):
    monkeypatch.delenv("AFFECTSTREAM_TOKEN_KEY", raising=False)
    first = CliRunner().invoke(app, ["token-key"]).stdout.strip()
    assert len(first) == 64
    monkeypatch.setenv("AFFECTSTREAM_TOKEN_KEY", first)
    second = CliRunner().invoke(app, ["token-key", "--keep-hours", "1"]).stdout.strip()
    new, _, old = second.partition(",")
    assert old.startswith(f"{first}@")
    now_s = SystemClock().now_us() // 1_000_000
    token = Tokens(first).operator(issued_at_s=now_s, ttl_s=60)
    assert Tokens(second).verify(token, now_s=now_s, audience="analytics")
    assert new not in {first, ""}
