"""The analyst page in a real browser against the whole running product, with records that went through all of it."""

import logging
import statistics
from typing import Any

import httpx
import pytest

from cli.deployment import Deployment
from cli.links import analyst_link
from runtime.clock import SystemClock
from runtime.kafka import Publisher
from runtime.tenancy import EVERY_TENANT
from runtime.tokens import Tokens
from schemas.codec import Codec
from schemas.records import ExperimentAssignment
from schemas.topics import AVATAR_FRAMES, CLIENT_EVENTS, LEDGER, SIGNALS
from tests.support.analyst_sessions import Mood, dropped, ends, event, long_frames, session
from tests.support.browser import analyst_page
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(400)

CODEC = Codec()
SESSIONS = 12
SECONDS = 6
LONG_TICKS = 100_000
LONG = "an-hour"
OPENED = "person07"
MOODS: tuple[Mood, ...] = ("happy", "sad", "surprise")


@pytest.fixture(scope="module")
def headers(deployment: Deployment) -> dict[str, str]:
    now_s = SystemClock().now_us() // 1_000_000
    token = Tokens(deployment.settings.token_key).operator(issued_at_s=now_s, ttl_s=3_600)
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def seeded(deployment: Deployment, headers: dict[str, str]) -> None:
    """Twelve people's signals, fused by the product, and one session of 100,000 ticks; all of it in ClickHouse."""
    now_us = SystemClock().now_us()
    publisher = Publisher(deployment.settings)
    for n in range(SESSIONS):
        name, start_us = f"person{n:02d}", now_us - 3 * 3_600_000_000 + n * 300_000_000
        given = ExperimentAssignment("livelier", ("usual", "livelier")[n % 2], "1")
        for signal in session(name, start_us, SECONDS + n % 3, mood=MOODS[n % 3], experiment=given):
            publisher.send_waiting(SIGNALS, name, CODEC.encode(signal))
        events = [event(name, "exposure", start_us + 500_000), event(name, "rating", start_us + 900_000, 3.0 + n % 3)]
        if n == 3:
            events.append(event(name, "opt_out", start_us + 1_000_000))
        for each in events:
            publisher.send_waiting(CLIENT_EVENTS, name, CODEC.encode(each))
        for entry in (dropped(name, start_us, "used", 90), dropped(name, start_us, "too_fast", 10)):
            publisher.send_waiting(LEDGER, name, CODEC.encode(entry))
    start_us = now_us - LONG_TICKS * 1_000_000 // 30 - 60_000_000
    publisher.send_waiting(SIGNALS, LONG, CODEC.encode(ends(LONG, start_us, start_us)[0]))
    for frame in long_frames(LONG, start_us, LONG_TICKS):
        publisher.send_waiting(AVATAR_FRAMES, LONG, CODEC.encode(frame))
    publisher.flush()

    def arrived() -> bool:
        answer = httpx.get(f"{deployment.addresses.analytics}/v1/explorer", headers=headers, timeout=30.0)
        frames = {row["session_id"]: row["frames"] for row in answer.json()["rows"]}
        enough = [frames.get(f"person{n:02d}", 0) >= SECONDS * 30 for n in range(SESSIONS)]
        return all(enough) and frames.get(LONG, 0) == LONG_TICKS

    eventually(arrived, what="all frames in the aggregates", deadline_s=90.0, every_s=0.5)


@pytest.fixture(scope="module")
def seen(deployment: Deployment, seeded: None, shots) -> dict[str, Any]:
    # No edge gave these sessions their names, so they are no tenant's.
    page = deployment.addresses.ingest
    url = analyst_link(deployment.settings, SystemClock(), page, ttl_s=3_600, tenant=EVERY_TENANT)
    return analyst_page(url, session=OPENED, many=LONG, experiment="livelier", shots=shots)


@pytest.fixture(scope="module")
def desktop(seen: dict[str, Any]) -> dict[str, Any]:
    return seen["desktop"]


def test_sessions_are_listed_found_and_sorted(desktop):
    explorer = desktop["explorer"]
    assert explorer["listed"] == SESSIONS + 1
    assert len(explorer["found"]) == 1
    assert OPENED in explorer["found"][0]
    longest = [text for text in explorer["longestFirst"] if text != "open"]
    assert longest == sorted(longest, reverse=True)
    assert [text for text in explorer["shortestFirst"] if text != "open"] == sorted(longest)


def test_the_token_leaves_the_address_and_no_other_host_is_asked(seen, desktop, deployment):
    assert desktop["explorer"]["address"].endswith("/analytics#/sessions")
    assert seen["traffic"]["tokens"] == 0
    assert set(seen["traffic"]["origins"]) == {deployment.addresses.ingest, deployment.addresses.analytics}
    assert seen["traffic"]["errors"] == []


def test_scrubbing_moves_the_avatar_to_the_ticks_values(desktop, deployment, headers):
    """What the page shows of each tick is what the frames of Kafka say, and the same tick is the same picture."""
    columns = "sequence, jawOpen, head_yaw, mouthSmileLeft"
    sql = f"SELECT {columns} FROM frames WHERE session_id = '{OPENED}' AND sequence < 80"
    answer = httpx.post(f"{deployment.addresses.analytics}/v1/sql", json={"sql": sql}, headers=headers)
    frames = {int(row[0]): row[1:] for row in answer.json()["rows"]}
    first, second, again = desktop["replay"]["scrubbed"]
    for shown in (first, second, again):
        jaw, yaw, smile = frames[shown["sequence"]]
        assert shown["channels"]["jawOpen"] == pytest.approx(jaw, abs=1e-6)
        assert shown["channels"]["head_yaw"] == pytest.approx(yaw, abs=1e-4)
        assert shown["channels"]["mouthSmileLeft"] == pytest.approx(smile, abs=1e-6)
    assert first["picture"] == again["picture"]
    assert first["picture"] != second["picture"]


def test_stepping_changes_exactly_one_tick(desktop):
    replay = desktop["replay"]
    assert replay["stepped"] == [21, 20, 21, 51]
    assert replay["played"] > 70
    assert abs(replay["picked"] - replay["last"] / 2) <= 2


def test_two_variants_are_compared_tick_by_tick(desktop):
    compare = desktop["compare"]
    assert compare["other"] > 0.001
    assert compare["same"] == 0
    assert "au12_gain = 99.0 is outside" in compare["refused"]


def test_charts_show_what_there_was(desktop):
    assert {chart["points"] for chart in desktop["replay"]["drawn"]} == {desktop["replay"]["last"] + 1}
    trends = desktop["figures"]["trends"]
    assert f"Sessions{SESSIONS + 1}" in trends["figures"]
    assert f"1 of {SESSIONS + 1}" in trends["figures"]
    assert "Too fast" in trends["drops"]
    assert f"{SESSIONS * 10}" in trends["drops"]
    assert trends["hops"] == 12
    assert desktop["figures"]["drift"] >= 10
    assert desktop["figures"]["metrics"] >= 5


def test_a_hundred_thousand_points_are_drawn(desktop):
    """How long that takes is told (--log-cli-level=INFO) and held by nothing: machines differ."""
    many = desktop["long"]
    assert [chart["points"] for chart in many["drawn"]] == [LONG_TICKS] * 4
    assert many["last"] == LONG_TICKS - 1
    drawn = [chart["drawnMs"] for chart in many["drawn"]]
    log.info("100,000 points: charts drawn in %s ms, the session opened in %d ms", drawn, many["openedMs"])
    assert statistics.fmean(drawn) > 0


def test_every_state_is_accessible_and_fits(seen):
    assert {name: state["hindrances"] for name, state in seen["states"].items() if state["hindrances"]} == {}
    assert [name for name, state in seen["states"].items() if state["cutOff"]] == []
    assert len(seen["states"]) >= 20


def test_a_frame_is_not_doubled_by_being_replayed(desktop, deployment, headers):
    """Looking changes nothing: the rows are those that were there."""
    sql = f"SELECT count() FROM avatar_frames WHERE session_id = '{OPENED}'"
    answer = httpx.post(f"{deployment.addresses.analytics}/v1/sql", json={"sql": sql}, headers=headers)
    assert int(answer.json()["rows"][0][0]) == desktop["replay"]["last"] + 1
