"""Many sessions without models: features straight into ``signals``, frames at as many clients."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.bench import Progress
from benchmarks.fusion.contestants import ROOT, fusion_role, role_is_ready
from benchmarks.fusion.kafka_log import Topics
from benchmarks.fusion.live import STEP_S, WARM_S, Pacer, closing_us
from benchmarks.fusion.measure import topics_of_a_run
from benchmarks.fusion.signals import FACE_HZ, US, Int64s, session_ids
from benchmarks.latency.stations import Percentiles
from benchmarks.processes import Candidate, CandidateError, Program, environment, free_port
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens

TAIL_S: Final = 1.0
"""Paced on, so that the last measured ticks close as all others do."""
TOKEN_S: Final = 3_600
SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Fanout:
    """From sending the signal that closes a tick to its frame at the client."""

    sessions: int
    seconds: float
    frames: int
    """Frames of the measured seconds; none is missing."""
    latency: Percentiles
    cpu_share: Mapping[str, float]
    """Of one core, by role, over those seconds."""
    pacer_behind_ms: float
    """How late the signals themselves were sent, at the 99th percentile."""


def measure_fanout(settings: Settings, sessions: int, seconds: float, folder: Path, progress: Progress) -> Fanout:
    """Pace ``sessions`` sessions in real time through fusion and egress; CandidateError if a frame does not come."""
    # All viewers come from one address, and of one tenant: that is what is measured here, not what it is limited to.
    own = topics_of_a_run(settings, folder).model_copy(update={"requests_per_s": 1e6, "tenant_requests_per_s": 1e6})
    relaying = own.model_copy(update={"metrics_port": free_port(), "port": free_port(), "data_dir": own.data_dir / "e"})
    relaying.data_dir.mkdir()
    out = own.data_dir / "viewers.npy"
    with (
        Topics(own),
        Candidate(fusion_role(own), own.data_dir / "fusion.txt") as fusion,
        Candidate(egress_role(relaying), own.data_dir / "egress.txt") as egress,
    ):
        fusion.wait_for(lambda: role_is_ready(own))
        egress.wait_for(lambda: is_healthy(relaying))
        tokens = own.data_dir / "tokens.txt"
        tokens.write_text(token_lines(own, session_ids(sessions)), encoding="utf-8")
        progress(f"{sessions} sessions for {WARM_S + seconds:g} s, as many clients")
        with Candidate(_viewers(relaying, out, tokens), own.data_dir / "viewers.txt") as viewers:
            viewers.wait_for(lambda: "READY" in viewers.said())
            pacer = Pacer(own, sessions, SEED)
            pacer.start(time.time_ns() // 1_000)
            begin = pacer.started_us / US + WARM_S
            roles = {"fusion": fusion, "egress": egress}
            _pace(pacer, begin)
            before = {name: role.cpu_s() for name, role in roles.items()}
            _pace(pacer, begin + seconds)
            used = {name: round((role.cpu_s() - before[name]) / seconds, 3) for name, role in roles.items()}
            _pace(pacer, begin + seconds + TAIL_S)
            pacer.close()
            # On a busy machine the last frames come late; they count all the same.
            viewers.wait_for(lambda: True)
            for candidate in (fusion, egress, viewers):
                candidate.require_running()
    rows = np.load(out)
    return _results(pacer, rows, begin, seconds, used)


def _pace(pacer: Pacer, until_s: float) -> None:
    while (now := time.time()) < until_s:
        pacer.step(int(now * US))
        time.sleep(STEP_S)


def _results(pacer: Pacer, rows: Int64s, begin_s: float, seconds: float, cpu_share: Mapping[str, float]) -> Fanout:
    session, sequence, _, received_us = rows.T
    # The sessions start on a whole second, so their first tick is there, too.
    tick_us = pacer.started_us + sequence * US // FACE_HZ
    from_us, until_us = round(begin_s * US), round((begin_s + seconds) * US)
    span = (tick_us >= from_us) & (tick_us < until_us)
    wanted = round(seconds * FACE_HZ) * pacer.sessions
    if int(span.sum()) != wanted:
        raise CandidateError(f"{int(span.sum())} frames came, {wanted} were to come: the machine is too busy")
    latency_ms = (received_us[span] - closing_us(pacer, session[span], tick_us[span])) / 1e3
    if float(latency_ms.min()) < 0:
        raise CandidateError(f"a frame came {-latency_ms.min():.1f} ms before the signal that closes it was sent")
    return Fanout(
        pacer.sessions,
        seconds,
        wanted,
        Percentiles.of(latency_ms.tolist()),
        cpu_share,
        round(float(np.percentile(np.array(pacer.late_us), 99)) / 1e3, 2),
    )


def egress_role(settings: Settings) -> Program:
    """The product's own process, as production runs it."""
    command = [*fusion_role(settings).command[:-1], "egress"]
    return Program(command, environment(**settings.to_env()), ROOT)


def is_healthy(settings: Settings) -> bool:
    """Whether the role at the settings' port says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/healthz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def token_lines(settings: Settings, sessions: Iterable[str]) -> str:
    """A session and a token to watch it with a line."""
    now_s = int(time.time())
    tokens = Tokens(settings.token_key)
    lines = []
    for session_id in sessions:
        grant = Grant(session_id, "default", frozenset({"watch"}), now_s + TOKEN_S)
        lines.append(f"{session_id} {tokens.issue(grant, issued_at_s=now_s)}\n")
    return "".join(lines)


def _viewers(settings: Settings, out: Path, tokens: Path) -> Program:
    python = fusion_role(settings).command[0]
    url = f"ws://127.0.0.1:{settings.port}"
    return Program([python, "-m", "benchmarks.latency.viewers", url, str(out), str(tokens)], environment(), ROOT)
