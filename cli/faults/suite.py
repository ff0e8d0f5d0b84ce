"""Tries faults one by one, each with a session of its own under way, and tells what came of it."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import psutil

from cli.faults.catalogue import FAULTS, Fault
from cli.faults.stage import Stage
from cli.play import SamplePlayer
from cli.verdict import Auditor
from runtime.clock import SystemClock
from runtime.errors import AffectstreamError, BrokerError

FIRST_FRAMES_S: Final = 60.0
BACK_S: Final = 60.0
READY_S: Final = 60.0
STEADY_S: Final = 2.0
SETTLE_S: Final = 60.0
AHEAD_MS: Final = 500

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault; field names are the JSON's."""

    key: str
    title: str
    skipped: str = ""
    """Why it was not tried."""
    lasted_s: float = 0.0
    silent_s: float = 0.0
    """The longest that the client had no new frame."""
    back_s: float = 0.0
    """From the end of the fault until frames of what is captured then."""
    repeated: int = 0
    """Frames that the client got twice or out of order."""
    lost: int = 0
    """Items that the ledger, or ClickHouse, does not account for, at any stage."""
    doubled: int = 0
    """The same, too many."""
    dropped: int = 0
    """Pictures that never reached the log, as the edge was gone or clients gave them up for newer ones."""
    sound_dropped: int = 0
    problem: str = ""
    """What else went wrong; empty: nothing."""

    @property
    def ok(self) -> bool:
        """Nothing is lost or doubled, and frames came again."""
        return not (self.problem or self.repeated or self.lost or self.doubled or self.sound_dropped)


@dataclass(frozen=True, slots=True)
class Suite:
    """All of them."""

    outcomes: Sequence[Outcome]
    machine: str
    at: datetime

    @property
    def ok(self) -> bool:
        """Whether every fault that was tried did no harm."""
        return all(outcome.ok for outcome in self.outcomes if not outcome.skipped)

    def keys(self) -> Mapping[str, Any]:
        """The JSON object."""
        return {
            "ok": self.ok,
            "faults": [{**asdict(outcome), "ok": outcome.ok} for outcome in self.outcomes],
            "machine": self.machine,
            "at": self.at.isoformat(timespec="minutes"),
        }


def try_all(stage: Stage, progress: Progress, *, only: Sequence[str] = (), longer: bool = True) -> Suite:
    """Try the faults, or those of these keys; ``longer``: some last a minute."""
    unknown = set(only) - {fault.key for fault in FAULTS}
    if unknown:
        known = ", ".join(fault.key for fault in FAULTS)
        raise AffectstreamError(f"unknown faults {', '.join(sorted(unknown))}; known: {known}")
    outcomes = []
    for fault in FAULTS:
        if only and fault.key not in only:
            continue
        reason = fault.possible(stage)
        if reason:
            progress(f"{fault.title}: not tried, {reason}")
            outcomes.append(Outcome(fault.key, fault.title, skipped=reason))
            continue
        outcome = _try(stage, fault, max(fault.lasts_s, fault.longer_s if longer else 0.0))
        progress(f"{fault.title}: {told(outcome)}")
        outcomes.append(outcome)
    return Suite(
        outcomes, f"{psutil.cpu_count()} cores, Linux {platform.release().partition('-')[0]}", datetime.now(UTC)
    )


def told(outcome: Outcome) -> str:
    """In a few words."""
    if outcome.problem:
        return f"PROBLEM: {outcome.problem}"
    harm = "nothing lost or doubled" if outcome.ok else (
        f"LOST {outcome.lost}, DOUBLED {outcome.doubled}, repeated {outcome.repeated}, sound {outcome.sound_dropped}"
    )  # fmt: skip
    return f"at most {outcome.silent_s:.1f} s without a frame, back after {outcome.back_s:.1f} s, {harm}"


class _Watch:
    """A session under way, and how long it was without frames."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.player = SamplePlayer(stage.deployment.addresses.ingest, stage.sample)
        self.player.start()
        self._frames = 0
        self._since_s = time.monotonic()
        self.silent_s = 0.0

    def beyond(self, instant_ms: float) -> bool:
        """Whether frames have come of what was captured after an instant."""
        self.look()
        if not self.player.running():
            raise AffectstreamError(f"the client gave up: {self.player.error}")
        return self.player.observation is not None and self.player.observation.newest_ms > instant_ms

    def look(self) -> None:
        """Note whether new frames have come; call it often."""
        frames = 0 if self.player.observation is None else self.player.observation.frames
        now_s = time.monotonic()
        self.silent_s = max(self.silent_s, now_s - self._since_s)
        if frames != self._frames:
            self._frames, self._since_s = frames, now_s

    def begin(self) -> None:
        """Forget what was: from now on it counts."""
        self.look()
        self.silent_s = 0.0


def _try(stage: Stage, fault: Fault, lasts_s: float) -> Outcome:
    watch = _Watch(stage)
    problem, lasted_s, back_s = "", 0.0, 0.0
    try:
        lasted_s, back_s = _go_through(stage, watch, fault, lasts_s)
    except AffectstreamError as error:
        problem = str(error)
    watch.player.stop()
    audited = Audited() if problem and watch.player.session_id is None else audit(stage, str(watch.player.session_id))
    observation = watch.player.observation
    return Outcome(
        key=fault.key,
        title=fault.title,
        lasted_s=round(lasted_s, 1),
        silent_s=round(watch.silent_s, 1),
        back_s=round(back_s, 1),
        repeated=0 if observation is None else observation.repeated,
        lost=audited.lost,
        doubled=audited.doubled,
        dropped=audited.dropped,
        sound_dropped=audited.sound_dropped,
        problem=problem or audited.problem,
    )


def _go_through(stage: Stage, watch: _Watch, fault: Fault, lasts_s: float) -> tuple[float, float]:
    """How long the fault lasted, and how long after it frames came again; raises AffectstreamError if they do not."""
    begun_ms = time.time() * 1_000
    _require(stage.wait(lambda: watch.beyond(begun_ms), deadline_s=FIRST_FRAMES_S), "no frames even before it")
    watch.begin()
    began_s = time.monotonic()
    try:
        fault.begin(stage)
        _last(stage, watch, lasts_s)
    finally:
        fault.end(stage)
    ended_s, ended_ms = time.monotonic(), time.time() * 1_000
    again = stage.wait(lambda: watch.beyond(ended_ms + AHEAD_MS), deadline_s=BACK_S)
    _require(again, f"no frames within {BACK_S:g} s after it")
    back_s = time.monotonic() - ended_s
    ready = stage.wait(lambda: _looked(watch) and stage.all_ready(), deadline_s=READY_S)
    _require(ready, f"not every role is ready {READY_S:g} s after it")
    _last(stage, watch, STEADY_S)
    return ended_s - began_s, back_s


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AffectstreamError(otherwise)


def _looked(watch: _Watch) -> bool:
    watch.look()
    return True


def _last(stage: Stage, watch: _Watch, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    stage.wait(lambda: _looked(watch) and time.monotonic() >= until_s, deadline_s=seconds + 1.0)


@dataclass(frozen=True, slots=True)
class Audited:
    """What the ledger and ClickHouse say of a session and of everything so far."""

    lost: int = 0
    doubled: int = 0
    dropped: int = 0
    sound_dropped: int = 0
    problem: str = ""


def audit(stage: Stage, session_id: str) -> Audited:
    """Ask until everything balances, or the deadline has passed; then what does not is told."""
    auditor = Auditor(stage.settings, stage.deployment.addresses.analytics, SystemClock())
    try:
        topics, balance = auditor.settle(session_id, deadline_s=SETTLE_S, meanwhile=stage.deployment.supervisor.poll)
    except (httpx.HTTPError, BrokerError) as error:
        return Audited(problem=f"nothing could be audited: {error}")
    rows = list(topics.values())
    unseen = balance["unseen"]
    return Audited(
        lost=sum(max(0, each.records - each.unreadable - each.distinct) for each in rows)
        + sum(check["missing"] for check in balance["checks"]),
        doubled=sum(max(0, each.rows - each.distinct) for each in rows)
        + sum(check["surplus"] for check in balance["checks"]),
        dropped=int(unseen["face"]["items"]),
        sound_dropped=int(unseen["speech"]["items"]),
    )
