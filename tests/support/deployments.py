"""The whole product, looked after as its users have it: what dies is started again.

A supervisor's children end with the thread that started them, and want to be polled: a thread of their own does both,
so that a test may wait for a browser meanwhile.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from cli.deployment import Deployment
from inference_workers import models
from runtime.settings import Settings
from tests.support.prerequisites import cache_dir

log = logging.getLogger(__name__)

POLL_S: Final = 0.05
LINES: Final = 8


@contextmanager
def running_product(data_dir: Path) -> Iterator[Deployment]:
    """Every part of the product, ready; raises PrerequisiteError if something must be installed first.

    Only what a process needs to run is handed on to it: settings of the shell must not get into the roles.
    """
    settings = Settings.from_env({}, data_dir=data_dir, cache_dir=cache_dir(), partitions=2)
    models.pull(settings)
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    deployment = Deployment(settings, environ, port=0)
    with _Keeper(deployment):
        yield deployment


def told_by(deployment: Deployment) -> str:
    """The state of every part, and the end of its log: what a test that fails should show."""
    parts = deployment.supervisor.children.values()
    return "\n".join(
        f"{part.spec.name}: {part.state}, started again {part.restarts} times, last exit {part.last_exit}\n"
        f"{part.log_end(LINES)}"
        for part in parts
    )


class _Keeper:
    """Starts a deployment, looks after it and stops it, in one thread."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._started = threading.Event()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="keeper")

    def __enter__(self) -> None:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._deployment.start(print)
        except BaseException as error:  # noqa: BLE001 - the thread that waits for the start raises it
            self._failure = error
            return
        finally:
            self._started.set()
        try:
            while not self._stop.wait(POLL_S):
                self._deployment.supervisor.poll()
        except Exception as error:  # noqa: BLE001 - who waits for the end raises it
            self._failure = error
        finally:
            self._deployment.stop()
