import pytest

from cli.vmc import avatar_url, parse_names, parse_target
from runtime.errors import SettingsError


@pytest.mark.parametrize(
    "text, title",
    [
        ("127.0.0.1:4000", "127.0.0.1:4000"),
        ("127.0.0.1", "127.0.0.1:39539"),
        ("[::1]:4000", "::1:4000"),
        ("::1", "::1:39539"),
    ],
)
def test_targets(text, title):
    target = parse_target(text)
    assert target.title == title
    assert target.address[1] == int(title.rpartition(":")[2])


@pytest.mark.parametrize(
    "text", ["", ":4000", "host:port", "127.0.0.1:0", "127.0.0.1:70000", "a b:1", "h:1/x", "u@h:1"]
)
def test_bad_targets_are_named(text):
    with pytest.raises(SettingsError, match="--to"):
        parse_target(text)


def test_names():
    assert parse_names("vrm0, arkit") == ("arkit", "vrm0")
    for text in ("", "arkit,vrm2"):
        with pytest.raises(SettingsError, match="known are arkit"):
            parse_names(text)


@pytest.mark.parametrize(
    "egress, url",
    [
        ("ws://h:1", "ws://h:1/v1/sessions/s%2F1/avatar"),
        ("https://h/base/", "wss://h/base/v1/sessions/s%2F1/avatar"),
    ],
)
def test_the_egress_is_taken_as_given(egress, url):
    assert avatar_url("s/1", edge="http://unused", egress=egress) == url


@pytest.mark.parametrize("egress", ["", "ftp://h", "h:1", "ws://"])
def test_a_bad_egress_is_named(egress):
    with pytest.raises(SettingsError, match="egress"):
        avatar_url("s1", edge="http://unused", egress=egress)
