"""Experiments from the rows of a real ClickHouse engine: the same numbers as from the frames themselves."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from analytics.api import Context, create_app
from analytics.database import Database, connect
from analytics.experiments.metrics import SessionFacts, values_of
from analytics.experiments.rows import ExperimentQueries, _before
from analytics.queries import Queries
from cli.main import app
from cli.refusing import RecordedSignals, fuse_under
from cli.simulated_people import START_US, US, Person, signals, start_of
from dataflows.shard import Shard
from runtime.clock import ManualClock, SystemClock
from runtime.experiments import read_experiment
from runtime.metrics import Metrics
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.codec import Codec
from schemas.records import AvatarFrame, ClientEvent, ExperimentAssignment, Record
from tests.support.rows import insert

PEOPLE = 6
LIVELIER = """
name: livelier
status: running
salt: "2"
control: usual
variants:
  usual: {}
  livelier: {mapping: direct_au, parameters: {tau_face_ms: 60}}
"""
CODEC = Codec()


def event(session: str, kind: Any, at_us: int, n: int, **facts: Any) -> ClientEvent:
    return ClientEvent(at_us, at_us, kind, n, session, "viewer", **facts)


def records(folder: Path) -> tuple[list[Record], dict[str, dict[str, float | None]]]:
    """Six people in two variants, and what the metrics of each must be."""
    experiment = read_experiment(folder / "livelier.yaml")
    found: list[Record] = []
    wanted = {}
    for n in range(PEOPLE):
        person = replace(Person.drawn(n, 3), seconds=10.0, group="a")
        variant = experiment.variants[n % 2]
        name, start_us = f"s{n}", START_US + n * 60 * US
        given = experiment.assignment(variant) if n else ExperimentAssignment("livelier", variant.name, "1")
        begin = start_of(person, variant.config, given)
        said = list(signals(person, begin, session_id=name, started_us=start_us, seed=3))
        values = [CODEC.encode(signal) for signal in said]
        step = Shard(0, 1).step([(i, name.encode(), value) for i, value in enumerate(values)])
        frames = [CODEC.decode(AvatarFrame, value) for _, value in step.frames]
        found += [*said, *frames, *frames[:40]]  # some were published again
        found.append(event(name, "exposure", start_us + US, 0, detail=f"livelier/{variant.name}"))
        with_it = "happy" if n % 2 else None  # or told by itself, as the page does
        found.append(event(name, "rating", start_us + 9 * US, 1, value=3.0 + n % 3, detail=with_it, frame_sequence=200))
        if with_it is None:
            found.append(event(name, "rating", start_us + 9 * US, 4, detail="happy", frame_sequence=200))
        if n == 5:
            found.append(event(name, "consent_changed", start_us + 2 * US, 2, detail="audio video"))
        if n == 4:
            found.append(event(name, "opt_out", start_us + 9 * US, 3))
        track = fuse_under(variant.config, [RecordedSignals.of(name, values, CODEC)])[name]
        wanted[name] = values_of(
            SessionFacts(
                track=track, duration_s=(said[-1].captured_at_us - start_us) / US, ratings=[3.0 + n % 3],
                opted_out=n == 4, felt=[(200, "happy")],
            )
        )  # fmt: skip
    # The same people were there before.
    for n in range(PEOPLE):
        person = Person.drawn(n, 3)
        begin = start_of(person, experiment.variants[0].config, None)
        early = list(signals(replace(person, seconds=10.0), begin, session_id=f"b{n}",
                             started_us=START_US - 86_400 * US, seed=4))  # fmt: skip
        found += [early[0], early[-1], event(f"b{n}", "rating", START_US - 86_000 * US, 0, value=float(n % 5 + 1))]
    return found, wanted


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Settings, dict[str, Any]]]:
    home = tmp_path_factory.mktemp("experiments")
    (home / "folder").mkdir()
    (home / "folder" / "livelier.yaml").write_text(LIVELIER)
    settings = Settings(data_dir=home, experiments_dir=str(home / "folder"))
    database = connect(settings)
    given, wanted = records(home / "folder")
    insert(database, given)
    yield database, settings, wanted
    database.close()


def ask(opened: tuple[Database, Settings, Any], path: str, *, token: str | None = None) -> httpx.Response:
    database, settings, _ = opened
    context = Context(settings, Queries(database, {}), CODEC, SystemClock(), Metrics("analytics"))
    shown = token or Tokens(settings.token_key).operator(issued_at_s=0, ttl_s=1 << 40)

    async def answer() -> httpx.Response:
        inside = httpx.ASGITransport(create_app(context))
        async with httpx.AsyncClient(transport=inside, base_url="http://t") as http:
            return await http.get(path, headers={"Authorization": f"Bearer {shown}"})

    return asyncio.run(answer())


def test_the_list_counts_what_was_assigned_under_the_present_salt(opened: Any) -> None:
    (found,) = ask(opened, "/v1/experiments").json()["experiments"]
    assert (found["name"], found["status"], found["control"], found["salt"]) == ("livelier", "running", "usual", "2")
    counts = {
        v["name"]: (v["assigned_sessions"], v["assigned_units"], v["exposed_sessions"]) for v in found["variants"]
    }
    assert counts == {"usual": (3, 3, 3), "livelier": (2, 2, 2)}
    assert found["variants"][1]["parameters"] == {"tau_face_ms": 60.0}
    assert found["srm"]["verdict"] == "too_few"
    assert found["first_assigned_at_ms"] == (START_US + 60 * US) // 1_000


def test_metrics_from_rows_are_those_of_the_frames(opened: Any) -> None:
    found = ask(opened, "/v1/experiments/livelier").json()
    wanted = opened[2]
    variant_of = {f"s{n}": "usual" if n % 2 else "livelier" for n in range(1, PEOPLE)}
    for metric in found["metrics"]:
        for arm in metric["variants"]:
            values = [wanted[s][metric["name"]] for s, v in variant_of.items() if v == arm["variant"]]
            told = [value for value in values if value is not None]
            assert arm["units"] == len(told), metric["name"]
            if told:
                assert arm["mean"] == pytest.approx(sum(told) / len(told), abs=2e-4, rel=1e-4), metric["name"]
    assert {m["name"] for m in found["metrics"] if any(a["units"] for a in m["variants"])} >= {
        "rating", "jitter", "responsiveness", "expressiveness", "mouth_speech_agreement", "opt_out", "duration"
    }  # fmt: skip
    assert found["population"] == {"assigned_sessions": 5, "exposed_sessions": 5, "exposed_units": 5}
    # One of the five withdrew the consent to comparisons, one opted out of everything.
    assert found["fairness"]["consented_units"] == 3
    assert found["fairness"]["groups"] == []
    assert found["decision"]["verdict"] == "undecided"
    json.dumps(found, allow_nan=False)


def test_asking_again_computes_nothing_anew(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database, settings, _ = opened
    queries = ExperimentQueries(database, settings.experiments_dir, ManualClock(START_US + 86_400 * US))
    first = queries.experiment("livelier")
    monkeypatch.setattr("analytics.experiments.rows._tracks", None)
    again = queries.experiment("livelier")
    assert again["metrics"] == first["metrics"]


def test_what_was_before_is_told_by_subject(opened: Any) -> None:
    with opened[0].reader() as client:
        before = _before(client, "livelier", "2", "")
    assert before == {f"p-{n:04d}": {"rating": n % 5 + 1, "duration": pytest.approx(10, abs=0.1)} for n in range(1, 6)}


def test_who_may_ask_and_for_what(opened: Any) -> None:
    missing = ask(opened, "/v1/experiments/none")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_experiment")
    grant = Grant("s1", "default", frozenset({"watch", "manage"}), 1 << 40)
    token = Tokens(opened[1].token_key).issue(grant, issued_at_s=0)
    for path in ("/v1/experiments", "/v1/experiments/livelier"):
        assert ask(opened, path, token=token).status_code == 403
    assert ask(opened, "/v1/experiments/livelier?confidence=7").status_code == 422


def test_an_experiment_without_its_file_is_shown_from_its_rows(opened: Any) -> None:
    database, settings, _ = opened
    bare = (database, settings.model_copy(update={"experiments_dir": ""}), None)
    (listed,) = ask(bare, "/v1/experiments").json()["experiments"]
    assert (listed["status"], listed["srm"]["verdict"]) == ("undefined", "unknown")
    assert ask(bare, "/v1/experiments/livelier").json()["experiment"]["control"] == "livelier"


def test_the_command_writes_the_report(opened: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database, settings, _ = opened
    queries = ExperimentQueries(database, settings.experiments_dir, SystemClock())
    monkeypatch.setattr("analytics.experiments.source.open_experiments", lambda _: contextlib.nullcontext(queries))
    page = tmp_path / "deep" / "report.html"
    ran = CliRunner().invoke(app, ["experiment", "report", "livelier", "--out", str(page), "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout.splitlines()[-1])["experiment"]["name"] == "livelier"
    assert "<h1>livelier" in page.read_text()
