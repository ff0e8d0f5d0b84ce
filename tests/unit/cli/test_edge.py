"""The command of one small box."""

import io

import pytest
from rich.console import Console

from cli.edge import own_folder, run_edge
from runtime.errors import SettingsError
from runtime.settings import Settings


def test_its_folder_is_one_that_nothing_else_uses_unless_named(tmp_path):
    usual = Settings.from_env({})
    assert own_folder(usual).data_dir == usual.data_dir / "edge"
    assert own_folder(Settings.from_env({}, data_dir=tmp_path)).data_dir == tmp_path
    assert own_folder(Settings.from_env({"AFFECTSTREAM_DATA_DIR": str(tmp_path)})).data_dir == tmp_path


def test_a_box_that_others_reach_does_not_start_without_a_key_for_tokens(tmp_path):
    settings = Settings.from_env({"AFFECTSTREAM_HOST": "0.0.0.0"}, data_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0.*AFFECTSTREAM_TOKEN_KEY"):
        run_edge(settings, {}, port=0, console=Console(file=io.StringIO()), progress=print)
    assert list(tmp_path.iterdir()) == []
