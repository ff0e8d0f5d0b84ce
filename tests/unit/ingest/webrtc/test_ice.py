"""Servers and addresses for ICE, from settings."""

import base64
import hashlib
import hmac

import pytest

from ingest.webrtc import ice
from runtime.errors import SettingsError
from runtime.settings import Settings

INTERFACES = ["192.0.2.7", "2001:db8::7"]
TURN = "turn:turn.example.org:3478?transport=udp"


def settings(**values: object) -> Settings:
    return Settings.from_env({}, **values)


def test_no_servers_unless_told() -> None:
    assert ice.servers(settings(), "s1", 0) == []


def test_static_credentials_are_for_turn_alone() -> None:
    told = settings(ice_servers=f"stun:stun.example.org, {TURN}", turn_username="u", turn_credential="c")
    stun, turn = ice.servers(told, "s1", 0)
    assert stun.as_json() == {"urls": ["stun:stun.example.org"]}
    assert stun.as_link() == '<stun:stun.example.org>; rel="ice-server"'
    assert turn.as_json() == {"urls": [TURN], "username": "u", "credential": "c"}
    assert turn.as_link() == f'<{TURN}>; rel="ice-server"; username="u"; credential="c"; credential-type="password"'


def test_a_shared_secret_gives_credentials_that_expire() -> None:
    (turn,) = ice.servers(settings(ice_servers=TURN, turn_secret="k", turn_ttl_s=600), "s1", 1_000)
    assert turn.username == "1600:s1"
    digest = hmac.new(b"k", b"1600:s1", hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(digest).decode()


@pytest.mark.parametrize("url", ["http://x", "stun.example.org", 'stun:x"; rel="y'])
def test_urls_of_another_kind_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="ICE_SERVERS"):
        ice.urls(settings(ice_servers=url))


def test_addresses_follow_from_what_the_edge_listens_on() -> None:
    def offered(**values: object) -> list[str]:
        return ice.local_addresses(settings(**values), INTERFACES)

    assert offered() == ["127.0.0.1", *INTERFACES]
    assert offered(host="localhost") == ["127.0.0.1", *INTERFACES]
    assert offered(host="0.0.0.0") == INTERFACES
    assert offered(host="192.0.2.7") == ["192.0.2.7"]
    assert offered(host="edge.example.org") == INTERFACES
    assert offered(ice_addresses="203.0.113.5, 2001:db8::5") == ["203.0.113.5", "2001:db8::5"]
    with pytest.raises(SettingsError, match="ICE_ADDRESSES"):
        offered(ice_addresses="edge.example.org")


def test_interfaces_have_no_loopback() -> None:
    assert not {"127.0.0.1", "::1"} & set(ice.interface_addresses())
