"""Where a connection comes from."""

import pytest

from runtime.addresses import client_address, parse_networks

TRUSTED = parse_networks("127.0.0.1, 10.0.0.0/8,::1")


@pytest.mark.parametrize(
    "peer, forwarded, found",
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # anybody can write that
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "203.0.113.9, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("::1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "", ""),
        ("127.0.0.1", "nonsense", "nonsense"),
        ("", "198.51.100.7", ""),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(peer, forwarded, found):
    assert client_address(peer, forwarded, TRUSTED) == found


def test_networks_that_are_none_are_refused():
    assert parse_networks("") == ()
    with pytest.raises(ValueError, match="elsewhere"):
        parse_networks("127.0.0.1,elsewhere")
