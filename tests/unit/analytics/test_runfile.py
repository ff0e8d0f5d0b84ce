import os
import stat
import subprocess
import sys

from analytics import runfile
from analytics.runfile import RunFile


def test_written_for_the_user_only_read_back_and_removed(tmp_path):
    path = runfile.write(tmp_path / "new", RunFile("http://127.0.0.1:1", "token", os.getpid()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert runfile.read(tmp_path / "new") == RunFile("http://127.0.0.1:1", "token", os.getpid())
    runfile.remove(tmp_path / "new")
    assert runfile.read(tmp_path / "new") is None


def test_the_file_of_a_process_that_is_gone_says_nothing(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    runfile.write(tmp_path, RunFile("http://127.0.0.1:1", "token", gone.pid))
    assert runfile.read(tmp_path) is None


def test_nonsense_is_no_running_role(tmp_path):
    (tmp_path / runfile.NAME).write_text('{"url": 1}')
    assert runfile.read(tmp_path) is None
