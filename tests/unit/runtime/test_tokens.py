"""Session tokens."""

import jwt
import pytest

from runtime.errors import TokenError
from runtime.tokens import OPERATOR, Grant, Tokens

KEY = "0123456789abcdef0123456789abcdef"
GRANT = Grant("s-1", "acme", frozenset({"audio", "watch"}), expires_at_s=2_000, timeline="recorded")


def test_round_trip():
    tokens = Tokens(KEY)
    assert tokens.verify(tokens.issue(GRANT, issued_at_s=1_000), now_s=1_999.9) == GRANT


@pytest.mark.parametrize("now_s", [2_000, 3_000.5])
def test_expired(now_s):
    tokens = Tokens(KEY)
    with pytest.raises(TokenError) as caught:
        tokens.verify(tokens.issue(GRANT, issued_at_s=1_000), now_s=now_s)
    assert caught.value.reason == "expired_token"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        jwt.encode({"sub": "s-1", "exp": 9_999, "aud": "affectstream"}, "another key of sufficient length!!"),
        jwt.encode({"sub": "s-1", "exp": 9_999, "aud": "someone else"}, KEY),
        jwt.encode({"sub": "s-1", "aud": "affectstream"}, KEY),
        jwt.encode({"sub": "s-1", "exp": 9_999, "aud": "affectstream"}, "", algorithm="none"),
    ],
)
def test_not_ours(token):
    with pytest.raises(TokenError) as caught:
        Tokens(KEY).verify(token, now_s=0)
    assert caught.value.reason == "malformed_token"


def test_a_grant_opens_only_its_session_and_scopes():
    GRANT.require("s-1", "audio")
    with pytest.raises(TokenError, match="another session"):
        GRANT.require("s-2", "audio")
    with pytest.raises(TokenError, match="video"):
        GRANT.require("s-1", "video")


def test_an_observer_is_no_operator_and_an_operator_no_observer():
    tokens = Tokens(KEY)
    observer = tokens.verify(tokens.observer(issued_at_s=1_000, ttl_s=60), now_s=1_001)
    operator = tokens.verify(tokens.operator(issued_at_s=1_000, ttl_s=60), now_s=1_001)
    observer.require(OPERATOR, "observe")
    with pytest.raises(TokenError, match="manage"):
        observer.require(OPERATOR, "manage")
    with pytest.raises(TokenError, match="observe"):
        operator.require(OPERATOR, "observe")
    with pytest.raises(TokenError, match="another session"):
        observer.require("s-1", "watch")
