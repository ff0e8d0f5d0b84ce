"""The documentation's pictures of the page: ``python -m tests.support.page_pictures 'http://…/#session=…&token=…'``.

Needs the running product (``affectstream demo`` prints the address), the built page, and Chromium. Writes
``docs/page.png`` and ``docs/page-dark.png``, compressed as far as PNG goes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from tests.support.browser import WEB
from tests.support.prerequisites import REPOSITORY

TAKING_S = 240.0
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]


def take(address: str, folder: Path) -> list[Path]:
    """Take the pictures of the session at ``address`` into ``folder``; raises CalledProcessError if it never smiles."""
    with tempfile.TemporaryDirectory() as taken:
        subprocess.run(["node", "e2e/picture.mjs", address, taken], cwd=WEB, check=True, timeout=TAKING_S)
        written = []
        for picture in sorted(Path(taken).glob("*.png")):
            cv2.imwrite(str(folder / picture.name), cv2.imread(str(picture)), COMPRESSION)
            written.append(folder / picture.name)
    return written


if __name__ == "__main__":
    for path in take(sys.argv[1], REPOSITORY / "docs"):
        sys.stdout.write(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size // 1000} kB\n")
