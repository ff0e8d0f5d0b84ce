"""The roles: names, modules, and how a process becomes one."""

import importlib
import logging
import os
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.settings import Settings

log = logging.getLogger(__name__)

STOP_DEADLINE_S: Final = 15.0


class RoleName(StrEnum):
    """What a process can be."""

    INGEST = "ingest"
    FACE_WORKER = "face-worker"
    SPEECH_WORKER = "speech-worker"
    FUSION = "fusion"
    EGRESS = "egress"
    ANALYTICS = "analytics"


MODULES: Final = {
    RoleName.INGEST: "ingest.role",
    RoleName.FACE_WORKER: "inference_workers.face_role",
    RoleName.SPEECH_WORKER: "inference_workers.speech_role",
    RoleName.FUSION: "dataflows.role",
    RoleName.EGRESS: "egress.role",
    RoleName.ANALYTICS: "analytics.role",
}
"""Imported only in the process that is the role: each has heavy libraries of its own."""


def run_role(name: RoleName, settings: "Settings") -> None:
    """Be a role until SIGTERM or SIGINT. Call it once, in the main thread."""
    from runtime.lifecycle import Role  # noqa: PLC0415 - the command's help needs the names alone, and quickly

    role = Role.start(name.value, settings)
    threading.Thread(target=_end_hard, args=(role.stop,), name="stop-deadline", daemon=True).start()
    importlib.import_module(MODULES[name]).run(role)
    log.info("%s: stopped", name.value)


def _end_hard(stop: threading.Event) -> None:
    """A role that hangs while it stops (its broker may be gone, its supervisor too) must not stay for ever."""
    stop.wait()
    # The thread is a daemon: it ends here with a process that stops in time.
    threading.Event().wait(STOP_DEADLINE_S)
    log.error("not stopped within %g s: ending hard", STOP_DEADLINE_S)
    os._exit(70)
