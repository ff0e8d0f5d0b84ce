"""Hostile logs: what no client of ours sends, and what broken ones might."""

from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st

from dataflows.shard import Message
from schemas.codec import Codec
from schemas.fusion_config import FusionConfig
from schemas.records import Calibration, FaceSignal, Signal, SpeechSignal
from schemas.vocabulary import AUS
from tests.support.signals import START_US, ended, face_signal, reset, sample, speech_signal, started

NAN, INF = float("nan"), float("inf")
HOUR_US = 3_600_000_000
CODEC = Codec()

CORRUPTIONS = (
    None, "nan", "inf", "range", "empty", "long", "stamp", "sequence",
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One record to be: which session, what, how much later, and what is wrong with it."""

    session: int
    kind: str
    step_us: int
    repeat: int
    corruption: str | None


def configs() -> st.SearchStrategy[FusionConfig]:
    return st.builds(
        lambda mapping, smoothing, wait, slack, gap, live, calibration: FusionConfig.of(
            {
                "max_wait_ms": wait,
                "face_slack_ms": slack,
                "speech_slack_ms": slack,
                "max_gap_ms": gap,
                "live_ms": live,
                "calibration_seconds": calibration,
            },
            mapping=mapping,
            smoothing=smoothing,
        ),
        st.sampled_from(["direct_au", "emotion_style", "blend"]),
        st.sampled_from(["spring", "ema", "one_euro"]),
        st.sampled_from([0.0, 40.0, 120.0, 500.0]),
        st.sampled_from([0.0, 33.0, 120.0]),
        st.sampled_from([100.0, 400.0, 1000.0]),
        st.sampled_from([50.0, 200.0, 500.0]),
        st.sampled_from([0.0, 0.05, 0.3, 3.0]),
    )


def events(sessions: int) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        session=st.integers(0, sessions - 1),
        kind=st.sampled_from(["face"] * 16 + ["speech"] * 16 + ["start", "end", "reset", "garbage", "unknown", "lost"]),
        step_us=st.one_of(
            *[st.integers(0, 45_000)] * 20,
            *[st.integers(-200_000, 700_000)] * 3,
            st.sampled_from([-HOUR_US, HOUR_US, 5 * HOUR_US, 1_500_000, -5_000_000]),
        ),
        repeat=st.sampled_from([0] * 24 + [1, 1, 3, 70, -1, -40]),
        corruption=st.sampled_from([None] * 60 + list(CORRUPTIONS)),
    )


def corrupted(signal: Signal, corruption: str | None, rng: Random) -> Signal:
    payload = signal.payload
    if corruption == "stamp":
        return replace(signal, captured_at_us=rng.choice([-1, -(1 << 62), 1 << 60, (1 << 63) - 1]))
    if corruption == "sequence":
        return replace(signal, sequence=rng.choice([-1, 1 << 53, (1 << 63) - 1]))
    if not isinstance(payload, FaceSignal | SpeechSignal) or corruption is None:
        return signal
    if corruption in {"nan", "inf", "range"}:
        value = {"nan": NAN, "inf": rng.choice([INF, -INF]), "range": rng.choice([1.5, -0.2, 1e30])}[corruption]
        name = "confidence" if isinstance(payload, FaceSignal) else "speaking_probability"
        if rng.random() < 0.5:
            return replace(signal, payload=replace(payload, **{name: value}))
        scores = list(payload.emotion_scores)
        scores[rng.randrange(7)] = value
        return replace(signal, payload=replace(payload, emotion_scores=tuple(scores)))
    scores = () if corruption == "empty" else payload.emotion_scores * 2
    return replace(signal, payload=replace(payload, emotion_scores=scores))


def build(plan: list[Event], config_list: list[FusionConfig], seed: int) -> list[Message]:
    """The plan as messages of one partition."""
    rng = Random(seed)
    now = [START_US + 7_000 * i for i in range(len(config_list))]
    counters = [[0, 0] for _ in config_list]
    out: list[Message] = []

    def put(signal: Signal | None, value: bytes = b"") -> None:
        key = b"?" if signal is None else signal.session_id.encode()
        out.append((len(out) + 41, key, value if signal is None else CODEC.encode(signal)))

    for i, config in enumerate(config_list):
        calibration = Calibration((0.1,) * len(AUS), (1.2,) * len(AUS)) if i % 2 else None
        put(started(f"s{i}", now[i], config=config, calibration=calibration, speech=i % 3 != 2))
    for event in plan:
        i = event.session
        at = max(0, now[i] + event.step_us)
        t_s = (at - START_US) / 1e6 % 100.0
        name = f"s{i}"
        if event.kind == "garbage":
            put(None, rng.choice([b"", b"\x00", rng.randbytes(40), CODEC.encode(ended(name, at))[:-1]]))
            continue
        if event.kind == "unknown":
            put(sample("nobody", at, 0, face_signal(t_s, rng)))
            continue
        if event.kind in {"start", "end", "reset"}:
            if event.kind == "start":
                signal = started(name, at, config=config_list[i])
            else:
                signal = ended(name, at) if event.kind == "end" else reset(name, at)
            put(corrupted(signal, event.corruption, rng))
            continue
        now[i] = at
        modality = 0 if event.kind in {"face", "lost"} else 1
        counters[i][modality] = max(0, counters[i][modality] + 1 - event.repeat)
        if modality == 0:
            face = face_signal(t_s, rng, detected=event.kind == "face", track_id=rng.choice([0, 0, 0, 1]))
            signal = sample(name, at, counters[i][0], face)
        else:
            signal = sample(name, at, counters[i][1], speech_signal(t_s, rng))
        put(corrupted(signal, event.corruption, rng))
    return out


def random_event(rng: Random, sessions: int, hostility: float) -> Event:
    """A good record, or with probability ``hostility`` one with something odd about it."""
    event = Event(rng.randrange(sessions), rng.choice(["face", "speech"]), rng.randrange(45_000), 0, None)
    if rng.random() >= hostility:
        return event
    odd = rng.randrange(5)
    if odd == 0:
        return replace(event, kind=rng.choice(["start", "garbage", "unknown", "lost", "lost", "end", "reset", "reset"]))
    if odd == 1:
        return replace(event, step_us=rng.choice([-HOUR_US, HOUR_US, 1_500_000, -5_000_000]))
    if odd == 2:
        return replace(event, step_us=rng.randrange(-200_000, 700_000))
    if odd == 3:
        return replace(event, repeat=rng.choice([1, 1, 3, 70, -1, -40]))
    return replace(event, corruption=rng.choice(CORRUPTIONS))


@st.composite
def logs(draw: st.DrawFn, sessions: int = 3, size: int = 120) -> list[Message]:
    """Mostly steady sessions, with as much trouble as is drawn, and events of Hypothesis's own choice in between."""
    config_list = draw(st.lists(configs(), min_size=1, max_size=sessions))
    rng = Random(draw(st.integers(0, 1 << 30)))
    hostility = draw(st.sampled_from([0.0, 0.03, 0.1, 0.3]))
    plan = [random_event(rng, len(config_list), hostility) for _ in range(draw(st.integers(0, size)))]
    for event in draw(st.lists(events(len(config_list)), max_size=12)):
        plan.insert(rng.randrange(len(plan) + 1), event)
    return build(plan, config_list, rng.randrange(1 << 30))
