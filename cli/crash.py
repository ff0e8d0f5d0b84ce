"""``affectstream verify crash``: the fusion process killed again and again, and not a byte of difference."""

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Final

from analytics.client import AnalyticsClient
from analytics.recordings.frames import frames_sha256
from analytics.source import open_source
from cli.laboratory import (
    AnalyticsProcess,
    FrameLog,
    Frames,
    FusionProcess,
    Progress,
    VerificationError,
    Writer,
    copy_log,
    own_topics,
)
from cli.observed import PHASES
from cli.synthetic import START_US, US, synthetic_log
from cli.verdict import TopicVerdict, compare
from runtime.errors import AffectstreamError
from runtime.settings import Settings
from runtime.topics import offset_ranges
from schemas.topics import AVATAR_FRAMES

AIMS: Final = ("any", "any", "start", "fusing", "writing", "flushing", "snapshot", "storing")
"""What a kill is aimed at, drawn evenly: any moment at work, any while starting, or within one phase."""
START_S: Final = 1.6
"""A start takes about 1.2 s, so that kills fall into all of it and just behind."""
WORK_S: Final = 1.2
"""How long a process may work before a kill, and then lies in wait of one: an epoch lasts longer than that, so many
processes close none, and their work is done again by the next."""
AIM_S: Final = 1.5
"""How long to lie in wait for a phase before killing anyway."""
AIM_BLUR_S: Final = 0.002
MOST_UNLUCKY: Final = 3
"""So many processes in a row may be killed while they start."""
SETTLE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    kills: int
    sessions: int
    seed: int
    seconds: float | None
    """Of log at least; None: as long as the kills take."""


@dataclass(slots=True)
class Result:
    """What came out; the field names are the JSON's."""

    kills: int
    identical: bool = False
    """The deduplicated frames of the crashed run are those of the uncrashed one, byte for byte."""
    lost: int = 0
    """Frames of the uncrashed run that the crashed one's log, or ClickHouse, does not hold."""
    duplicated: int = 0
    """Rows too many: in the deduplicated view by frame, and in the table by record."""
    repeated: int = 0
    """Records that say the same frame again, as recovery does and readers expect."""
    different: int = 0
    """Frames with other bytes, and frames that the uncrashed run does not have."""
    frames: int = 0
    signals: int = 0
    records: int = 0
    rows: int = 0
    sessions: int = 0
    seconds: float = 0.0
    sha256: str = ""
    seed: int = 0
    hit: dict[str, int] = field(default_factory=dict)
    """How many kills hit what: phases of :data:`cli.observed.PHASES`."""
    recovery_s: dict[str, float] = field(default_factory=dict)
    """From a start until the next record can be fused: p50 and max of the starts that were not killed."""

    @property
    def ok(self) -> bool:
        return self.identical and self.lost == 0 and self.duplicated == 0

    def keys(self) -> Mapping[str, object]:
        """The JSON object."""
        return asdict(self)


def verify_crash(settings: Settings, plan: Plan, progress: Progress) -> Result:
    """Kill, recover, compare and count.

    Raises VerificationError if a process fails by itself. Blocks for about 2.5 s a kill, and half a minute.
    """
    begun_s = time.monotonic()
    result = Result(kills=plan.kills, seed=plan.seed, sessions=plan.sessions)
    with own_topics(settings, "crashed") as crashed, own_topics(settings, "uncrashed") as uncrashed:
        analytics = AnalyticsProcess(crashed)
        fusion = FusionProcess(crashed)
        try:
            analytics.start()
            writer = _writer(crashed, plan)
            writer.start()
            _kill_on(fusion, plan, result, progress)
            writer.finish(now=plan.seconds is None)
            fusion.wait_caught_up()
            fusion.stop()
            result.signals = writer.written
            progress(f"{writer.written} signals written; fusing them once more without a crash")
            _fuse_once(crashed, uncrashed)
            there, wanted = FrameLog(crashed), FrameLog(uncrashed)
            _compare(there, wanted, result)
            progress(f"{result.frames} frames, {result.repeated} repeated; counting rows in ClickHouse")
            _count(crashed, analytics, wanted.frames, result)
            analytics.stop()
        finally:
            fusion.kill()
            analytics.kill()
    result.seconds = round(time.monotonic() - begun_s, 1)
    return result


def _writer(settings: Settings, plan: Plan) -> Writer:
    records = synthetic_log(plan.sessions, plan.seed)
    if plan.seconds is not None:
        until_us = START_US + round(plan.seconds * US)
        records = takewhile(lambda arrival: arrival.at_us < until_us, records)
    return Writer(settings, records, speed=1.0, stalls=0.3, rng=random.Random(plan.seed + 1).random)


def _kill_on(fusion: FusionProcess, plan: Plan, result: Result, progress: Progress) -> None:
    """Kill so often; the process then runs."""
    rng = random.Random(plan.seed + 2)
    hit: Counter[str] = Counter()
    recoveries: list[float] = []
    unlucky = 0
    for kill in range(plan.kills):
        started_s = time.monotonic()
        fusion.start()
        aim = rng.choice(AIMS)
        if aim == "start" and unlucky < MOST_UNLUCKY:
            unlucky += 1
            time.sleep(rng.uniform(0.0, START_S))
        else:
            unlucky = 0
            fusion.wait_working()
            recoveries.append(time.monotonic() - started_s)
            _choose_moment(fusion, aim, rng)
        fusion.require_running()
        fusion.kill()
        hit[PHASES[fusion.phases.phase]] += 1
        if (kill + 1) % 10 == 0:
            progress(f"{kill + 1} of {plan.kills} kills: {_told(hit)}")
    started_s = time.monotonic()
    fusion.start()
    fusion.wait_working()
    recoveries.append(time.monotonic() - started_s)
    recoveries.sort()
    result.hit = dict(hit.most_common())
    result.recovery_s = {"p50": round(recoveries[len(recoveries) // 2], 2), "max": round(recoveries[-1], 2)}


def _choose_moment(fusion: FusionProcess, aim: str, rng: random.Random) -> None:
    """Return at a moment to kill at: after a while, or when the process is in the phase that is aimed at."""
    time.sleep(rng.uniform(0.0, WORK_S))
    if aim not in PHASES:
        return
    wanted, until = PHASES.index(aim), time.monotonic() + AIM_S
    while fusion.phases.phase != wanted and time.monotonic() < until:
        time.sleep(0)
    blur_until = time.monotonic() + rng.uniform(0.0, AIM_BLUR_S) * rng.randrange(2)
    while time.monotonic() < blur_until:
        pass


def _told(hit: Mapping[str, int]) -> str:
    return ", ".join(f"{phase} {count}" for phase, count in hit.items())


def _fuse_once(source: Settings, target: Settings) -> None:
    """The same log, by a process that nobody kills."""
    copy_log(source, target)
    fusion = FusionProcess(target)
    try:
        fusion.start()
        fusion.wait_working()
        fusion.wait_caught_up()
        fusion.stop()
    finally:
        fusion.kill()


def _compare(there: FrameLog, wanted: FrameLog, result: Result) -> None:
    result.frames = len(wanted.frames)
    result.records = there.records
    result.repeated = there.repeated
    result.lost = len(wanted.frames.keys() - there.frames.keys())
    result.different = (
        len(there.conflicts)
        + len(there.frames.keys() - wanted.frames.keys())
        + sum(there.frames[key] != value for key, value in wanted.frames.items() if key in there.frames)
    )
    result.sha256 = frames_sha256(there.frames)
    result.identical = (
        bool(wanted.frames)
        and result.lost == result.different == 0
        and not wanted.repeated
        and result.sha256 == frames_sha256(wanted.frames)
    )


def _count(settings: Settings, analytics: AnalyticsProcess, wanted: Frames, result: Result) -> None:
    """Rows against records, and the deduplicated view against the frames that must be there."""
    with open_source(settings) as source:
        if not isinstance(source, AnalyticsClient):
            raise VerificationError(f"the analytics role does not run; its log ends:\n{analytics.log_end()}")
        verdict = _settled(settings, analytics, source)
        result.rows = verdict.rows
        held = {
            str(session): [int(sequence) for sequence in sequences]
            for session, sequences in source.sql(
                "SELECT session_id, groupArray(sequence) FROM frames GROUP BY session_id ORDER BY session_id"
            )["rows"]
        }
    rows = sum(len(sequences) for sequences in held.values())
    found = {(session, sequence) for session, sequences in held.items() for sequence in sequences}
    result.lost += len(wanted.keys() - found) + max(0, verdict.records - verdict.unreadable - verdict.rows)
    result.duplicated = rows - len(found) + abs(verdict.rows - verdict.distinct)
    result.different += len(found - wanted.keys())
    result.identical = result.identical and result.different == 0


def _settled(settings: Settings, analytics: AnalyticsProcess, client: AnalyticsClient) -> TopicVerdict:
    """The verdict on frames once the sink has taken every record, or the last one after a while."""
    until = time.monotonic() + SETTLE_S
    while True:
        analytics.require_running()
        try:
            verdict = compare(client.counts(), {AVATAR_FRAMES: offset_ranges(settings, AVATAR_FRAMES)})[AVATAR_FRAMES]
        except AffectstreamError:
            if time.monotonic() > until:
                raise
        else:
            if verdict.complete or time.monotonic() > until:
                return verdict
        time.sleep(0.25)
