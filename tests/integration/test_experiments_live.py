"""Experiments where they happen: a real edge assigns, real egress says what was seen, the rows tell."""

import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from client import Session
from runtime.clock import SystemClock
from runtime.errors import SettingsError
from runtime.experiments import read_experiments
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.experiments import Candidate
from schemas.records import ClientEvent, ExperimentAssignment, SessionStarted, Signal
from schemas.topics import CLIENT_EVENTS, SIGNALS
from tests.support.edges import egress, ingest, log_of
from tests.support.frames import FramePublisher

SMILES = """
name: smiles
status: running
salt: s1
control: usual
variants:
  usual: {}
  wide: {mapping: direct_au, smoothing: one_euro, parameters: {au12_gain: 1.5}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "smiles.yaml").write_text(SMILES)
    return tmp_path


def refused(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{url}/v1/sessions", json=body, trust_env=False)
    assert answer.status_code == 422, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_edge_assigns_by_subject_and_writes_it_down(settings: Settings, folder: Path) -> None:
    own = settings.model_copy(update={"experiments_dir": str(folder)})
    catalogue = read_experiments(folder)
    subjects = [f"p-{i}" for i in range(12)]
    with ingest(own) as running, log_of(own, SIGNALS, Signal) as signals:
        for subject in subjects:
            await Session.create(running.url, video=True, subject=subject)
        await Session.create(running.url, video=True, subject="p-0", experiments=False)
        await Session.create(running.url, video=True, subject="p-0", parameters={"au12_gain": 1.0})
        await Session.create(running.url, video=True, subject="p-0", mapping="emotion_style")
        await Session.create(running.url, video=True, subject="p-0", timeline="recorded")
        found = signals.until(lambda found: len(found) == 16)
    starts = [signal.payload for signal in found if isinstance(signal.payload, SessionStarted)]
    wanted = {}
    for subject in subjects:
        drawn = catalogue.assign(Candidate(subject, "live", audio=False, video=True))
        assert drawn is not None
        wanted[subject] = drawn[1]
    assert {variant.name for variant in wanted.values()} == {"usual", "wide"}
    taking = [start for start in starts if start.experiment is not None]
    assert {start.subject: start.config for start in taking} == {s: v.config for s, v in wanted.items()}
    assert {start.subject: start.experiment for start in taking} == {
        subject: ExperimentAssignment("smiles", variant.name, "s1") for subject, variant in wanted.items()
    }
    assert len(starts) - len(taking) == 4, "who configures itself, says no, or is not eligible takes no part"


async def test_a_group_is_taken_with_consent_only(settings: Settings) -> None:
    with ingest(settings) as running, log_of(settings, SIGNALS, Signal) as signals:
        for body in ({"group": "a"}, {"group": "a", "consent": {"audio": True}}):
            problem = refused(running.url, body)
            assert problem["code"] == "no_consent"
            assert "consent.fairness" in problem["detail"]
        assert refused(running.url, {"group": "<b>", "consent": {"fairness": True}})["code"] == "invalid_request"
        session = await Session.create(running.url, video=True, fairness=True, group="55 to 64")
        await Session.create(running.url, video=True, fairness=True)
        found = signals.until(lambda found: len(found) == 2)
        groups = {s.session_id: (s.payload.fairness_consented, s.payload.declared_group) for s in found}  # type: ignore[union-attr]
        assert groups.pop(session.session_id) == (True, "55 to 64")
        assert list(groups.values()) == [(True, None)]
        grant = Tokens(settings.token_key).verify(session.token, now_s=time.time(), audience="ingest")
        assert "fairness" in grant.scopes


@pytest.mark.parametrize("variant", ["smiles/wide", ""])
async def test_a_viewer_is_exposed_once_it_has_seen_a_frame(settings: Settings, variant: str) -> None:
    publisher = FramePublisher(settings, SystemClock())
    now_s = int(time.time())
    session = "seen"
    grant = Grant(session, "default", frozenset({"watch"}), now_s + 60, variant=variant)
    shown = Tokens(settings.token_key).issue(grant, issued_at_s=now_s)
    with egress(settings) as running, log_of(settings, CLIENT_EVENTS, ClientEvent) as events:
        url = f"{running.ws}/v1/sessions/{session}/avatar?token={shown}"
        async with connect(url, compression=None, proxy=None) as socket:
            assert orjson.loads(await socket.recv())["type"] == "welcome"
            publisher.publish(session, 7, 8)
            while orjson.loads(await socket.recv())["sequence"] != 8:
                pass
            at = time.time_ns() // 1_000
            for sent in (
                {"type": "ack", "sequence": 7},  # received, but not shown
                {"type": "ack", "sequence": 99, "rendered_at_us": at},  # of a frame that it never got
                {"type": "ack", "sequence": 7, "rendered_at_us": at},
                {"type": "ack", "sequence": 8, "rendered_at_us": at},
                {"type": "rating", "value": 4, "felt": "happy"},
            ):
                await socket.send(orjson.dumps(sent).decode())
            await socket.send('{"type":"rating","value":4,"felt":"hungry"}')
            await socket.wait_closed()
            assert (socket.close_code, "felt" in (socket.close_reason or "")) == (4400, True)
        found = [e for e in events.until(lambda found: found and found[-1].kind == "viewer_left")
                 if e.session_id == session]  # fmt: skip
    seen = [(e.frame_sequence, e.detail) for e in found if e.kind == "exposure"]
    assert seen == ([(7, "smiles/wide")] if variant else [])
    assert [e.detail for e in found if e.kind == "rating"] == ["happy"]


def test_an_edge_with_a_bad_experiment_does_not_start(settings: Settings, folder: Path) -> None:
    (folder / "smiles.yaml").write_text(SMILES.replace("control: usual", "control: other"))
    own = settings.model_copy(update={"experiments_dir": str(folder)})
    with pytest.raises((SettingsError, AssertionError), match="none of the variants"), ingest(own):
        pass
