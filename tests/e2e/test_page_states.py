"""What the page says when things go wrong: against a server that speaks the protocol and fails on purpose."""

import pytest

from tests.support.browser import page_states, require_browser


@pytest.fixture(scope="module")
def states():
    require_browser()
    return page_states()


def test_it_says_that_no_frames_come_and_that_the_avatar_rests(states):
    assert states["stall"]["state"] == "No frames arriving"
    assert "the avatar rests" in states["stall"]["says"]


def test_it_says_that_the_session_is_over(states):
    assert states["end"]["state"] == "Session finished"


def test_it_says_why_it_may_not_watch(states):
    assert "token is not valid" in states["refuse"]["says"]
    assert states["refuse"]["state"] == "Not connected"


def test_it_says_when_a_token_is_for_another_session(states):
    assert "another session" in states["foreign"]["says"]


def test_it_says_when_a_session_sends_nothing(states):
    assert states["silent"]["state"] == "Connected, no frames"
    assert "may be over" in states["silent"]["says"]


@pytest.mark.parametrize(
    "case, advice",
    [
        ("denied", "Allow it beside the page's address"),
        ("missing", "Connect one"),
        ("away", "The server cannot be reached"),
    ],
)
def test_a_failed_start_says_what_to_do_and_leaves_nothing_on(states, case, advice):
    assert advice in states[case]["says"]
    assert states[case]["state"] == "Not connected"
