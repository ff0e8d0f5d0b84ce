"""Every state of the pages in a real browser: nothing hinders people who use a keyboard, a screen reader or a phone."""

import os
from pathlib import Path

import pytest

from tests.support.browser import page_looks, require_browser

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=[("desktop", "light"), ("phone", "dark")], ids=["desktop", "phone"])
def looks(request):
    """What was found, by state; screenshots go to ``PAGE_SHOTS``, if that names a folder."""
    require_browser()
    shots = os.environ.get("PAGE_SHOTS")
    return page_looks(*request.param, Path(shots) if shots else None)


def test_axe_finds_nothing_serious(looks):
    found = {state: seen["hindrances"] for state, seen in looks.items() if seen["hindrances"]}
    assert not found
    assert len(looks) >= 20


def test_nothing_is_cut_off_at_the_side(looks):
    assert not [state for state, seen in looks.items() if seen["cutOff"]]


def test_no_state_throws(looks):
    assert not {state: seen["errors"] for state, seen in looks.items() if seen["errors"]}
