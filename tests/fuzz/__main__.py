"""``make fuzz``: hostile inputs by the hundred thousand, and what came of them.

Each target of :mod:`tests.fuzz.targets` runs in a process of its own under atheris; then schemathesis asks the HTTP
services. Exits with 1 at a crash, a hang, memory that grows, or an answer of 500. ``--inputs N`` in all, ``--http N``
requests an operation (0: none).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.fuzz import http
from tests.fuzz.targets import TARGETS
from tests.support.prerequisites import REPOSITORY, cache_dir

ATHERIS: Final = {(3, 11): "atheris==3.0.0", (3, 12): "atheris==3.1.0"}
"""The newest with wheels for each Python; not among the locked packages, for it has none for every platform."""

MOST_GROWN_MIB: Final = 4.0
"""Of a process that reads what the fuzzer found, after the first fifth."""


def guided(uv: Path) -> Path:
    """The folder that atheris lies in, fetched once."""
    package = ATHERIS[sys.version_info[:2]]
    folder = cache_dir() / "fuzz" / f"{package}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(partial),
                   "--no-deps", "--only-binary", ":all:", package]  # fmt: skip
        subprocess.run(command, check=True)
        partial.rename(folder)
    return folder


def fuzz_target(number: int, runs: int, atheris: Path, folder: Path) -> bool:
    """One target; says what came of it, and whether that is well."""
    target = TARGETS[number]
    folder.mkdir()
    path = os.pathsep.join((str(REPOSITORY), str(atheris)))
    began = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", str(number), str(runs), str(folder)],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    came = folder / "came.json"
    found = json.loads(came.read_text(encoding="utf-8")) if came.exists() else None
    if answer.returncode != 0 or found is None:
        kept = [path for path in folder.iterdir() if path.is_file() and path != came]
        print(f"{target.name:22} FAILED (exit code {answer.returncode}); inputs: {', '.join(map(str, kept)) or 'none'}")
        print("\n".join((answer.stdout + answer.stderr).splitlines()[-40:]))
        return False
    again = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.replayed", str(number), str(runs), str(folder)],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown_mib = float(again.stdout.splitlines()[-1])
    flat = grown_mib <= MOST_GROWN_MIB
    told = f"{found['inputs']:>8,} inputs {took:6.0f} s   memory {grown_mib:+6.1f} MiB"
    print(f"{target.name:22} {told}{'' if flat else '  GROWS'}", flush=True)
    return flat


def main() -> int:
    """All of it; the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--http", type=int, default=25)
    wanted = parser.parse_args()
    uv = Path(sys.executable).with_name("uv")
    atheris = guided(uv)
    each = -(-wanted.inputs // len(TARGETS))
    folder = Path(tempfile.mkdtemp(prefix="affectstream-fuzz-"))
    ok = [fuzz_target(number, each, atheris, folder / str(number)) for number in range(len(TARGETS))]
    print(f"{sum(ok)} of {len(TARGETS)} targets held, {each * len(TARGETS):,} inputs")
    if wanted.http:
        for came in http.fuzz(uv, cache_dir(), folder, wanted.http):
            print(f"{'HTTP ' + came.name:22} {came.requests:>8,} requests{'' if came.ok else '  FAILED'}")
            if not came.ok:
                print(came.told)
            ok.append(came.ok)
    if all(ok):
        shutil.rmtree(folder)
    return int(not all(ok))


if __name__ == "__main__":
    sys.exit(main())
