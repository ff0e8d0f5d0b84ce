import json
import subprocess
import sys

import pytest

from cli.roles import GUARDED, MODULES
from tests.support.prerequisites import REPOSITORY

IMPORTED = """
import importlib, json, os, sys
from cli.roles import spare_threads
spare_threads(os.environ)
import runtime.guardian
importlib.import_module(sys.argv[1])
print(json.dumps([len(os.listdir("/proc/self/task")), sorted(sys.modules)]))
"""


@pytest.mark.parametrize("role", GUARDED)
def test_what_a_guardian_imports_makes_no_thread_that_a_fork_would_lose(role):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, MODULES[role]], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    threads, modules = json.loads(done.stdout)
    assert threads == 1
    assert {"onnxruntime", "ai_edge_litert", "torch"}.isdisjoint(modules)
    assert {"numpy", "confluent_kafka"} <= set(modules), "what takes long is imported before the fork"
