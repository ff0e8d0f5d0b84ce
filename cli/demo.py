"""``affectstream demo``: the whole product on this machine, and a sample session through it."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx
from rich.console import Console

from cli.deployment import Deployment
from cli.foreground import interruptible, show, supervise
from cli.links import analyst_link, wall_link, watch_link
from cli.play import SamplePlayer
from cli.sample import prepare as prepare_sample
from cli.setup import prepare_everything
from cli.verdict import Auditor, TopicVerdict
from runtime.clock import SystemClock
from runtime.errors import BrokerError
from runtime.settings import Settings

SETTLE_S: Final = 30.0
OPENING_S: Final = 10.0
WATCH_S: Final = 86_400

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What the command line asks for."""

    settings: Settings
    environ: Mapping[str, str]
    port: int | None
    with_sample: bool

    def deployment(self, progress: Progress) -> Deployment:
        """What is to run; what set-up prepares is made first where it is missing."""
        prepare_everything(self.settings, self.environ, progress)
        return Deployment(self.settings, self.environ, port=self.port)

    def player(self, deployment: Deployment, progress: Progress) -> SamplePlayer | None:
        """Who streams the sample; None if nobody shall."""
        if not self.with_sample:
            return None
        return SamplePlayer(deployment.addresses.ingest, prepare_sample(self.settings, progress))


def run_live(demo: Demo, console: Console, progress: Progress) -> None:
    """Run until Ctrl-C or SIGTERM with a live view (plain lines where there is no terminal)."""
    with interruptible(), _running(demo, progress) as (deployment, _):
        player = demo.player(deployment, progress)
        if player is not None:
            player.start()
        console.print(f"logs: {deployment.logs_dir}", style="dim", soft_wrap=True)
        page = deployment.addresses.ingest
        console.print(f"The page, with your own camera: [bold cyan]{page}[/]", soft_wrap=True)
        wall = wall_link(demo.settings, SystemClock(), page, ttl_s=WATCH_S)
        console.print(f"The wall of all sessions:       [bold cyan]{wall}[/]", soft_wrap=True)
        analyst = analyst_link(demo.settings, SystemClock(), page, ttl_s=WATCH_S)
        console.print(f"Analysis of all sessions:       [bold cyan]{analyst}[/]", soft_wrap=True)
        try:
            if player is not None:
                supervise(deployment, OPENING_S, while_=lambda: player.session_id is None and player.running())
                if player.session_id is not None:
                    link = watch_link(demo.settings, SystemClock(), page, player.session_id, ttl_s=WATCH_S)
                    console.print(f"The sample session:             [bold cyan]{link}[/]", soft_wrap=True)
            show(deployment, console, progress)
        except KeyboardInterrupt:
            progress("stopping")
        if player is not None:
            player.stop(deadline_s=5.0)
            if player.error is not None:
                progress(f"the sample session ended early: {player.error}")


def run_headless(demo: Demo, seconds: float, progress: Progress) -> int:
    """Stream the sample for ``seconds``, check what came out, print one JSON summary to stdout.

    Returns the exit code: 0 if frames and rows came out, rows equal records, and the ledger balances; 1 otherwise.
    """
    with interruptible(), _running(demo, progress) as (deployment, ready_s):
        player = demo.player(deployment, progress)
        summary: dict[str, Any]
        if player is None:
            supervise(deployment, seconds)
            summary = {"ok": True, "page": deployment.addresses.ingest, "seconds_to_ready": ready_s}
        else:
            progress(f"streaming the sample session for {seconds:g} s")
            player.start()
            supervise(deployment, seconds, while_=player.running)
            player.stop()
            progress("waiting for the last rows")
            summary = _summary(deployment, player, ready_s)
        progress("stopping")
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    return 0 if summary["ok"] else 1


def _summary(deployment: Deployment, player: SamplePlayer, ready_s: float) -> dict[str, Any]:
    """What the headless demo prints; ``problems`` says in words why ``ok`` is false."""
    problems: list[str] = []
    if player.error is not None:
        problems.append(f"the sample session failed: {player.error}")
    topics: dict[str, TopicVerdict] = {}
    balance: Mapping[str, Any] = {"balanced": False, "checks": []}
    if player.session_id is not None:
        auditor = Auditor(deployment.settings, deployment.addresses.analytics, SystemClock())
        try:
            topics, balance = auditor.settle(
                player.session_id, deadline_s=SETTLE_S, meanwhile=deployment.supervisor.poll
            )
        except (httpx.HTTPError, BrokerError) as error:
            problems.append(f"analytics cannot be asked: {error}")
    figures = {} if player.observation is None else player.observation.figures()
    if not figures.get("frames"):
        problems.append("no frame came back")
    if not any(verdict.rows for verdict in topics.values()):
        problems.append("no row came out")
    problems += [
        f"{topic}: {verdict.records} records, {verdict.rows} rows, {verdict.distinct} of them distinct"
        for topic, verdict in topics.items()
        if not verdict.complete
    ]
    problems += [
        f"ledger: {check['name']} {check['modality']}: {check['missing']} missing, {check['surplus']} surplus"
        for check in balance["checks"]
        if not check["balanced"]
    ]
    played = player.played
    return {
        "ok": not problems,
        "problems": problems,
        "session_id": player.session_id,
        **figures,
        "sent": None
        if played is None
        else {
            "pictures": played.video_sent,
            "audio_chunks": played.audio_sent,
            "pictures_dropped_by_client": played.video_dropped,
            "audio_chunks_dropped_by_client": played.audio_dropped,
            "reconnects": played.reconnects,
        },
        "topics": {topic: asdict(verdict) for topic, verdict in topics.items()},
        "rows_equal_records": bool(topics) and all(verdict.complete for verdict in topics.values()),
        "ledger_balanced": balance["balanced"],
        "ledger_checks": balance["checks"],
        "restarts": {name: child.restarts for name, child in deployment.supervisor.children.items()},
        "seconds_to_ready": ready_s,
        "page": deployment.addresses.ingest,
    }


@contextlib.contextmanager
def _running(demo: Demo, progress: Progress) -> Iterator[tuple[Deployment, float]]:
    """The deployment, ready, and the seconds that took; stopped at the end, whatever happens."""
    started_s = time.monotonic()
    deployment = demo.deployment(progress)
    deployment.start(progress)
    try:
        ready_s = round(time.monotonic() - started_s, 1)
        progress(f"ready after {ready_s} s")
        yield deployment, ready_s
    finally:
        deployment.stop()
