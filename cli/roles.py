"""The roles: names, modules, and how a process becomes one."""

import importlib
import logging
import os
import sys
import threading
from collections.abc import MutableMapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from analytics.owner_api import Recorder
    from ingest.feed import AvatarFeed
    from runtime.lifecycle import Role
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

GUARDED: Final = (RoleName.FACE_WORKER, RoleName.SPEECH_WORKER)
"""Roles that run engines, which may hang or crash: a guardian replaces them."""

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""How many threads the numeric libraries make, each by its own variable; read when they are loaded."""


def spare_threads(environ: MutableMapping[str, str]) -> None:
    """One thread a numeric library unless the operator says otherwise: roles scale by processes.

    With more, small matrices are spread over every core, and the threads spin while they wait for each other: the
    speech worker took twice the CPU. Call it before NumPy is imported.
    """
    for name in THREADS:
        environ.setdefault(name, "1")


def run_role(name: RoleName, settings: "Settings", partitions: Sequence[int] | None = None) -> None:
    """Be a role until SIGTERM or SIGINT. Call it once, in the main thread.

    ``partitions`` are those that fusion takes (None: all); other roles get theirs from Kafka.
    """
    if name in GUARDED and sys.platform == "linux":
        _be_guarded(name, settings)
    else:
        _be(name, settings, {} if partitions is None else {"owned": partitions})


def _be_guarded(name: RoleName, settings: "Settings") -> None:
    from runtime.guardian import Guardian  # noqa: PLC0415 - as below
    from runtime.logs import configure_logs  # noqa: PLC0415

    configure_logs(name.value, settings.log_format, settings.log_level)
    # Not the engines: ONNX Runtime makes a thread when it is imported, which a fork would lose.
    importlib.import_module(MODULES[name])
    Guardian(hang_s=settings.hang_limit_s).run(lambda watch: _be(name, settings, {"watch": watch}))


def _be(name: RoleName, settings: "Settings", arguments: dict[str, object]) -> None:
    from runtime.lifecycle import Role  # noqa: PLC0415 - the command's help needs the names alone, and quickly

    role = Role.start(name.value, settings)
    threading.Thread(target=_end_hard, args=(role.stop,), name="stop-deadline", daemon=True).start()
    if name is RoleName.INGEST:
        arguments["feed"] = _channel_feed
    if name is RoleName.ANALYTICS:
        arguments["recorder"] = _recorder(role)
        arguments["fuse"] = _fuse_session
    importlib.import_module(MODULES[name]).run(role, **arguments)
    log.info("%s: stopped", name.value)


def _channel_feed(role: "Role") -> "AvatarFeed":
    """Egress within the edge's process, for avatar frames over the data channels of WebRTC peers."""
    from egress.feed import ChannelFeed  # noqa: PLC0415 - not before a peer asks for it

    return ChannelFeed.of(role)


def _recorder(role: "Role") -> "Recorder":
    """Recording a session within the analytics role's process, for its owner."""

    def record(session_id: str, path: "Path", *, media: bool) -> None:
        from cli.recorder import record as write  # noqa: PLC0415 - not before somebody asks for it

        write(role.settings, [session_id], path, role.clock, log.debug, media=media)

    return record


def _fuse_session(session_id: str, signals: "Sequence[bytes]") -> "Sequence[bytes]":
    """Fusion within the analytics process, for comparing variants of a session."""
    from cli.fusing import fuse_session  # noqa: PLC0415 - compiled rules, and not before somebody compares

    return fuse_session(session_id, signals)


def _end_hard(stop: threading.Event) -> None:
    """A role that hangs while it stops (its broker may be gone, its supervisor too) must not stay for ever."""
    stop.wait()
    # The thread is a daemon: it ends here with a process that stops in time.
    threading.Event().wait(STOP_DEADLINE_S)
    log.error("not stopped within %g s: ending hard", STOP_DEADLINE_S)
    os._exit(70)
