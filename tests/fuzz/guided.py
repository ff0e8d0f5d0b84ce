"""One target under atheris, which mutates towards code that no input has reached yet.

``python -m tests.fuzz.guided NUMBER RUNS FOLDER``, with atheris on the path; writes what came of it as JSON to FOLDER.
"""

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas", "ingest", "egress", "analytics", "runtime", "fastavro"]):
    from tests.fuzz.targets import TARGETS


def main(number: int, runs: int, folder: Path) -> None:
    """Fuzz until ``runs`` inputs were read; a finding is a crash of this process, with the input in FOLDER."""
    target = TARGETS[number]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    for n, seed in enumerate(target.seeds()):
        (corpus / str(n)).write_bytes(seed)
    read, done = 0, 0

    def one(data: bytes) -> None:
        nonlocal done, read
        target.read(data)
        done += 1
        read += len(data)
        if done == runs:
            came = {"inputs": done, "bytes": read}
            (folder / "came.json").write_text(json.dumps(came), encoding="utf-8")

    options = [f"-runs={runs + 1_000}", f"-max_len={target.longest}", "-rss_limit_mb=2048", "-timeout=20",
               "-verbosity=0", f"-artifact_prefix={folder}/", "-print_final_stats=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
