"""Virtual environments of peers whose dependencies clash with ours, under the cache directory."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.bench import Progress
from runtime.errors import PrerequisiteError


def make_environment(title: str, wanted: Path, home: Path, progress: Progress) -> None:
    """A virtual environment with the packages of ``wanted``, made again when that file changes.

    Raises PrerequisiteError with the end of what pip said.
    """
    made = home / "requirements.txt"
    if made.exists() and made.read_bytes() == wanted.read_bytes():
        return
    progress(f"{title}: making an environment of its own (once)")
    shutil.rmtree(home, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(home)])
    run([str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "-r", str(wanted)])
    shutil.copy(wanted, made)


def run(command: list[str]) -> None:
    """Run a command to its end; raises PrerequisiteError with what it said last if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise PrerequisiteError(f"{' '.join(command[:3])} failed:\n{said}")
