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
