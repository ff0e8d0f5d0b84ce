import subprocess
import sys
from importlib.metadata import version as installed

import pytest

from cli import main as command
from tests.support.prerequisites import REPOSITORY


def affectstream(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


def test_a_wrong_setting_is_one_line_and_exit_code_2():
    answer = affectstream("topics", "list", AFFECTSTREAM_PARTITIONS="none")
    assert answer.returncode == 2
    assert answer.stderr.startswith("affectstream: AFFECTSTREAM_PARTITIONS: ")
    assert "Traceback" not in answer.stderr


def test_topics_list_shows_every_topic(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["affectstream", "topics", "list"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for topic in ("media.audio", "avatar.frames", "dead.letters"):
        assert topic in shown


def test_help_names_the_commands_without_heavy_imports():
    program = (
        "import sys; from cli import main\n"
        "heavy = {'confluent_kafka', 'numba', 'cv2', 'av', 'bytewax', 'fastapi', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.argv = ['affectstream', '--help']; main.main()"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    for word in ("demo", "play", "run", "setup", "topics", "models"):
        assert word in answer.stdout


def test_help_shows_every_command_in_a_panel_and_the_beginning_first(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["affectstream", "--help"])
    with pytest.raises(SystemExit):
        command.main()
    shown = capsys.readouterr().out
    places = [shown.index(f"─ {panel} ─") for panel in dict.fromkeys((*command.COMMANDS, *command.GROUPS))]
    assert places == sorted(places)
    assert "─ Commands ─" not in shown
    names = [name for group in command.GROUPS.values() for name in group]
    names += [one.__name__.replace("_", "-") for several in command.COMMANDS.values() for one in several]
    assert len(names) == len(set(names))
    assert all(f"│ {name} " in shown for name in names)


@pytest.mark.parametrize("argument", ["--version", "version"])
def test_the_version_is_told(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, "argv", ["affectstream", argument])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == installed("affectstream")
