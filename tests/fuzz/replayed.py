"""Whether reading the inputs that a fuzzer found keeps memory: in a process without its instruments, which keep some.

``python -m tests.fuzz.replayed NUMBER RUNS FOLDER`` reads the corpus in FOLDER over and over; prints the growth in MiB.
"""

import sys
from itertools import cycle, islice
from pathlib import Path

import psutil

from tests.fuzz.targets import TARGETS

WARM = 0.2
"""Memory is looked at from here on: caches are full then."""


def main(number: int, runs: int, folder: Path) -> None:
    """Read so many inputs."""
    inputs = [path.read_bytes() for path in sorted((folder / "corpus").iterdir())]
    memory = psutil.Process().memory_info
    warm = 0
    for done, data in enumerate(islice(cycle(inputs), runs)):
        if done == int(runs * WARM):
            warm = memory().rss
        TARGETS[number].read(data)
    print((memory().rss - warm) / 2**20)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
