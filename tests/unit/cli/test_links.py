"""Addresses of the page that carry a token."""

from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from cli.links import analyst_link, wall_link, watch_link
from cli.main import app
from runtime.clock import ManualClock
from runtime.errors import SettingsError
from runtime.settings import Settings
from runtime.tokens import OPERATOR, Tokens

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(tmp_path):
    return Settings(token_key=KEY, data_dir=tmp_path, cache_dir=tmp_path)


def fragment(link: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(link).fragment)


def test_a_watch_link_lets_one_watch_one_session(settings):
    clock = ManualClock()
    link = watch_link(settings, clock, "http://page", "s1", ttl_s=60)
    assert link.startswith("http://page/#")
    assert fragment(link)["session"] == ["s1"]
    grant = Tokens(KEY).verify(fragment(link)["token"][0], now_s=clock.now_us() / 1e6, audience="egress")
    assert (grant.session_id, grant.scopes) == ("s1", {"watch"})


def test_a_wall_link_opens_the_wall_and_nothing_else(settings):
    clock = ManualClock()
    link = wall_link(settings, clock, "http://page", ttl_s=60)
    assert link.startswith("http://page/wall#")
    assert urlsplit(link).query == ""
    grant = Tokens(KEY).verify(fragment(link)["token"][0], now_s=clock.now_us() / 1e6, audience="analytics")
    assert (grant.session_id, grant.scopes) == (OPERATOR, {"observe"})
    assert grant.expires_at_s == clock.now_us() // 1_000_000 + 60


def test_an_analyst_link_opens_the_analyst_page_and_nothing_else(settings):
    clock = ManualClock()
    link = analyst_link(settings, clock, "http://page", ttl_s=60)
    assert link.startswith("http://page/analytics#")
    assert urlsplit(link).query == ""
    grant = Tokens(KEY).verify(fragment(link)["token"][0], now_s=clock.now_us() / 1e6, audience="analytics")
    assert (grant.session_id, grant.scopes) == (OPERATOR, {"analyse"})


@pytest.mark.parametrize("command, path", [("wall", "wall"), ("analyst", "analytics")])
def test_the_commands_print_one(monkeypatch, command, path):
    monkeypatch.setenv("AFFECTSTREAM_TOKEN_KEY", KEY)
    answer = CliRunner().invoke(app, [command, "--url", "https://example.org/"])
    assert answer.exit_code == 0
    assert answer.stdout.startswith(f"https://example.org/{path}#token=")


@pytest.mark.parametrize("command", ["wall", "analyst"])
def test_the_commands_need_the_deployments_key(monkeypatch, command):
    monkeypatch.delenv("AFFECTSTREAM_TOKEN_KEY", raising=False)
    answer = CliRunner().invoke(app, [command])
    assert isinstance(answer.exception, SettingsError)
