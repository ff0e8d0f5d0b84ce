"""Pictures of an experiment's report: ``python -m tests.support.report_pictures report.html docs/experiments``.

Writes ``report.png`` (light, the page's upper part) and ``report-dark.png`` (dark, from the same sessions on). Needs
Chromium.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from tests.support.browser import WEB

TAKING_S = 120.0
PICTURES = ("report.png", "report-dark.png")
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]


def look(report: Path, taken: Path) -> Mapping[str, Sequence[str]]:
    """Open the report light, dark and small, and take pictures into ``taken``; what it asked for, errors, what is wide.

    Raises AssertionError, with what it said, if the browser fails.
    """
    command = ["node", "e2e/report.mjs", report.resolve().as_uri(), str(taken)]
    ran = subprocess.run(command, cwd=WEB, check=False, timeout=TAKING_S, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found: Mapping[str, Sequence[str]] = json.loads(ran.stdout.splitlines()[-1])
    return found


def take(report: Path, folder: Path) -> list[Path]:
    """Take the documentation's pictures into ``folder``, compressed as far as PNG goes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory() as taken:
        look(report, Path(taken))
        for name in PICTURES:
            cv2.imwrite(str(folder / name), cv2.imread(str(Path(taken) / name)), COMPRESSION)
            written.append(folder / name)
    return written


if __name__ == "__main__":
    for path in take(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.stdout.write(f"{path}: {path.stat().st_size // 1000} kB\n")
