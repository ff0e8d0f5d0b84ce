"""Other people's avatars on the page: dropped, refused, and back to the default one."""

import pytest

from tests.support.browser import avatar_files, require_browser
from tests.support.prerequisites import shared_data


@pytest.fixture(scope="module")
def opened():
    require_browser()
    return avatar_files(shared_data("avatar/ict_arkit52.glb"))


def test_a_dropped_model_is_shown_and_the_default_one_comes_back(opened):
    assert "Drop a GLB or VRM" in opened["invitation"]
    assert opened["errors"] == []


def test_a_file_that_is_no_avatar_is_refused_with_what_to_do(opened):
    assert "song.mp3 is not a GLB or VRM file" in opened["refusal"]
    assert "Export the model as GLB" in opened["refusal"]


def test_nothing_is_asked_of_another_server(opened):
    assert opened["foreign"] == []
