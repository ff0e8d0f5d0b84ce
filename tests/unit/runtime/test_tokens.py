"""Tokens."""

import jwt
import pytest

from runtime.errors import TokenError
from runtime.tenancy import EVERY_TENANT
from runtime.token_keys import parse_keys
from runtime.tokens import AUDIENCES, OPERATOR, SCOPES, Grant, Tokens

KEY = "0123456789abcdef0123456789abcdef"
OLD, OLDER = "old" * 11, "older" * 7
GRANT = Grant("s-1", "acme", frozenset({"audio", "watch"}), expires_at_s=2_000, timeline="recorded")
KID = {"kid": parse_keys(KEY)[0].kid}
AUD = "affectstream/ingest"


def refused(tokens: Tokens, token: str, *, now_s: float = 0, audience: str = "ingest") -> str:
    with pytest.raises(TokenError) as caught:
        tokens.verify(token, now_s=now_s, audience=audience)
    return caught.value.reason


@pytest.mark.parametrize("audience", ["ingest", "egress", "analytics"])
def test_round_trip(audience):
    tokens = Tokens(KEY)
    assert tokens.verify(tokens.issue(GRANT, issued_at_s=1_000), now_s=1_999.9, audience=audience) == GRANT


@pytest.mark.parametrize("now_s", [2_000, 3_000.5])
def test_expired(now_s):
    tokens = Tokens(KEY)
    assert refused(tokens, tokens.issue(GRANT, issued_at_s=1_000), now_s=now_s) == "expired_token"


@pytest.mark.parametrize(
    "token, reason",
    [
        ("", "malformed_token"),
        ("x", "malformed_token"),
        ("a.b.c", "malformed_token"),
        (jwt.encode({"sub": "s-1", "exp": 9_999, "aud": AUD}, "another key of sufficient length!!", headers=KID),
         "malformed_token"),
        (jwt.encode({"sub": "s-1", "exp": 9_999, "aud": "someone else"}, KEY, headers=KID), "wrong_audience"),
        (jwt.encode({"sub": "s-1", "aud": AUD}, KEY, headers=KID), "malformed_token"),
        (jwt.encode({"sub": "s-1", "exp": 9_999}, KEY, headers=KID), "malformed_token"),
        (jwt.encode({"sub": "s-1", "exp": 9_999, "aud": AUD}, "", algorithm="none", headers=KID), "malformed_token"),
        (jwt.encode({"sub": "s-1", "exp": 9_999, "aud": AUD}, KEY), "unknown_key"),
        (jwt.encode({"sub": "s-1", "exp": 9_999, "aud": AUD}, KEY, headers={"kid": "nobody's"}), "unknown_key"),
    ],
)  # fmt: skip
def test_not_ours(token, reason):
    assert refused(Tokens(KEY), token) == reason


def test_a_token_is_for_the_services_that_its_scopes_are_of_use_to():
    tokens = Tokens(KEY)
    for scope in SCOPES:
        token = tokens.issue(Grant(OPERATOR, "acme", frozenset({scope}), 2_000), issued_at_s=1_000)
        for audience in ("ingest", "egress", "analytics"):
            if audience in AUDIENCES[scope]:
                assert tokens.verify(token, now_s=1_001, audience=audience).scopes == {scope}
            else:
                assert refused(tokens, token, now_s=1_001, audience=audience) == "wrong_audience"


def test_the_newest_key_signs_and_older_ones_verify_until_their_end():
    token = Tokens(OLD).issue(GRANT, issued_at_s=1_000)
    older = Tokens(OLDER).issue(GRANT, issued_at_s=1_000)
    tokens = Tokens(f"{KEY},{OLD},{OLDER}@1970-01-01T00:30:00Z")
    assert tokens.verify(token, now_s=1_999, audience="ingest") == GRANT
    assert tokens.verify(older, now_s=1_799, audience="ingest") == GRANT
    assert refused(tokens, older, now_s=1_800) == "unknown_key"
    fresh = tokens.issue(GRANT, issued_at_s=1_000)
    assert Tokens(KEY).verify(fresh, now_s=1_001, audience="ingest") == GRANT
    assert refused(Tokens(OLD), fresh, now_s=1_001) == "unknown_key"


def test_a_grant_opens_only_its_session_and_scopes():
    GRANT.require("s-1", "audio")
    with pytest.raises(TokenError, match="another session"):
        GRANT.require("s-2", "audio")
    with pytest.raises(TokenError, match="video"):
        GRANT.require("s-1", "video")


def test_an_observer_is_no_operator_and_an_operator_no_observer():
    tokens = Tokens(KEY)
    observer = tokens.verify(
        tokens.observer(issued_at_s=1_000, ttl_s=60, tenant="acme"), now_s=1_001, audience="analytics"
    )
    operator = tokens.verify(tokens.operator(issued_at_s=1_000, ttl_s=60), now_s=1_001, audience="analytics")
    assert (observer.tenant, operator.tenant) == ("acme", EVERY_TENANT)
    observer.require(OPERATOR, "observe")
    with pytest.raises(TokenError, match="manage"):
        observer.require(OPERATOR, "manage")
    with pytest.raises(TokenError, match="observe"):
        operator.require(OPERATOR, "observe")
    with pytest.raises(TokenError, match="another session"):
        observer.require("s-1", "watch")
