"""A deployment in the foreground: looked after and shown until Ctrl-C or SIGTERM."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from cli.dashboard import Flow, render, terminal_fits
from cli.deployment import Deployment

POLL_S: Final = 0.05
VIEW_EVERY_S: Final = 0.5
STATUS_EVERY_S: Final = 10.0

Progress = Callable[[str], None]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does, and an interrupt before everything runs ends quietly with exit code 130."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def supervise(deployment: Deployment, seconds: float, while_: Callable[[], bool] = lambda: True) -> None:
    """Look after the deployment for so long, or while ``while_`` says so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and while_():
        deployment.supervisor.poll()
        time.sleep(POLL_S)


def show(deployment: Deployment, console: Console, progress: Progress) -> None:
    """The live view, or a line now and then where there is no terminal, until a KeyboardInterrupt."""
    if terminal_fits(console):
        _view(deployment, console)
    else:
        _lines(deployment, progress)


def _view(deployment: Deployment, console: Console) -> None:
    """The live view, until a KeyboardInterrupt."""
    flow, started_s = Flow(), time.monotonic()

    def drawn() -> Any:
        flow.add(time.monotonic(), deployment.scraper.latest())
        up_s = time.monotonic() - started_s
        return render(deployment.addresses.ingest, up_s, deployment.supervisor.children, flow)

    with Live(drawn(), console=console, auto_refresh=False, transient=True) as live:
        while True:
            supervise(deployment, VIEW_EVERY_S)
            live.update(drawn(), refresh=True)


def _lines(deployment: Deployment, progress: Progress) -> None:
    """A line now and then, until a KeyboardInterrupt."""
    flow = Flow()
    while True:
        flow.add(time.monotonic(), deployment.scraper.latest())
        rates = ", ".join(f"{topic.topic} {topic.per_s:.0f}/s" for topic in flow.topics() if topic.per_s)
        states = ", ".join(
            f"{name} {child.state}" for name, child in deployment.supervisor.children.items() if child.state != "ready"
        )
        progress(f"{flow.sessions()} sessions; {rates or 'nothing flows'}; {states or 'every role is ready'}")
        supervise(deployment, STATUS_EVERY_S)
