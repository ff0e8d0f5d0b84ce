"""How a role starts and stops."""

import ctypes
import logging
import os
import signal
import threading
from types import FrameType

from runtime.clock import Clock, SystemClock
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tls import server_context

log = logging.getLogger(__name__)


class Role:
    """One role's process: settings, metrics and a stop flag that SIGTERM and SIGINT set.

    ``stop`` is the only way in which a role ends on request; loops wait on it or look at it at least every 100 ms.
    """

    def __init__(self, name: str, settings: Settings, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics(name)
        self.stop = threading.Event()

    @classmethod
    def start(cls, name: str, settings: Settings) -> "Role":
        """Configure logs, signals and the metrics server of this process. Call it once, in the main thread."""
        configure_logs(name, settings.log_format, settings.log_level)
        role = cls(name, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, role._on_signal)
        port = role.metrics.serve(settings.host, settings.metrics_port, server_context(settings))
        log.info("%s %s starts, pid %d, metrics on %s:%d", name, settings.instance, os.getpid(), settings.host, port)
        return role

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.stop.is_set():  # Ctrl-C reaches a worker twice: from the terminal, and from its guardian
            log.info("%s: stopping", signal.Signals(number).name)
        self.stop.set()


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel for a signal when the parent ends (Linux, prctl(PR_SET_PDEATHSIG)); elsewhere do nothing.

    Passed as ``preexec_fn`` by the supervisor, so that a killed supervisor leaves nothing running.
    """
    try:
        ctypes.CDLL(None).prctl(1, number)
    except (OSError, AttributeError):
        return
