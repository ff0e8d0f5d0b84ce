"""What a wall shows."""

import pytest

from egress.hub import Viewer
from egress.wall import MAX_PICKED, MAX_PRESENT, Wall, WallConnection, picked, presence
from runtime.tenancy import new_session_id


class FakeSink:
    def congested(self, now_us: int) -> bool:
        return now_us < 0

    def write(self, wire: bytes) -> bool:
        return bool(wire)


@pytest.fixture
def shown():
    return []


@pytest.fixture
def wall(shown):
    def leave(viewer: Viewer) -> None:
        shown.remove(viewer)

    return Wall(WallConnection("wall-1", "json", FakeSink(), expires_at_us=7), shown.append, leave)


def test_picking_joins_what_is_new_and_leaves_what_is_gone(wall, shown):
    wall.pick(["a", "b"])
    first = list(shown)
    wall.pick(["b", "c"])
    assert [viewer.session_id for viewer in shown] == ["b", "c"]
    assert shown[0] is first[1]
    assert {(viewer.viewer_id, viewer.expires_at_us) for viewer in shown} == {("wall-1", 7)}


def test_closing_leaves_all(wall, shown):
    wall.pick(["a", "b"])
    wall.close()
    assert shown == []


def test_a_session_is_picked_once():
    assert picked({"sessions": ["a", "b", "a"]}) == ["a", "b"]


@pytest.mark.parametrize(
    "sessions",
    [None, "a", [1], ["*"], ["../x"], ["a" * 129], [f"s{i}" for i in range(MAX_PICKED + 1)]],
    ids=["none", "text", "number", "star", "path", "long", "many"],
)
def test_what_cannot_be_picked(sessions):
    with pytest.raises(ValueError, match="watch"):
        picked({"sessions": sessions})


def test_presence_tells_for_how_long_sessions_are_quiet():
    assert presence({"a": 5_000, "b": 6_500, "ahead": 7_100}, 7_000_000) == {
        "type": "presence",
        "server_us": 7_000_000,
        "quiet_ms": {"ahead": 0, "b": 500, "a": 2_000},
    }


def test_presence_is_bounded_and_keeps_the_newest():
    message = presence({f"s{i}": i for i in range(MAX_PRESENT + 10)}, 0)
    assert len(message["quiet_ms"]) == MAX_PRESENT
    assert "s0" not in message["quiet_ms"]


def test_a_tenants_wall_knows_of_its_own_sessions_only():
    mine, other = new_session_id("acme"), new_session_id("umbra")
    assert picked({"sessions": [other, mine, "named-by-no-edge"]}, "acme") == [mine]
    assert picked({"sessions": [other, mine]}) == [other, mine]
    newest = {mine: 1_000, other: 1_000}
    assert list(presence(newest, 1_000_000, "acme")["quiet_ms"]) == [mine]
    assert presence(newest, 1_000_000)["quiet_ms"].keys() == {mine, other}
