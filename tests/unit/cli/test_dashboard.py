import io

from prometheus_client import generate_latest
from rich.console import Console

from cli.dashboard import SPANS, WIDTH, Flow, render
from cli.roles import RoleName
from cli.supervisor import Child, ChildSpec
from cli.telemetry import Samples
from runtime.metrics import Metrics
from schemas.vocabulary import Modality, Outcome


def readings(**roles: Metrics) -> dict[str, Samples]:
    found = {role.value: Samples() for role in RoleName}
    for name, metrics in roles.items():
        found[name.replace("_", "-")] = Samples.parse(generate_latest(metrics.registry).decode())
    return found


def per_second(flow: Flow, topic: str) -> float:
    return next(found.per_s for found in flow.topics() if found.topic == topic)


def test_rates_are_those_of_the_window():
    flow, fusion = Flow(), Metrics("fusion")
    for second in range(20):
        flow.add(float(second), readings(fusion=fusion))
        fusion.count("records_out_total", 30 if second < 15 else 0, topic="avatar.frames")
    assert per_second(flow, "avatar.frames") < 10
    flow.add(25.0, readings(fusion=fusion))
    assert per_second(flow, "avatar.frames") == 0


def test_a_restarted_role_counts_anew_and_rates_stay_positive():
    flow, before, after = Flow(), Metrics("fusion"), Metrics("fusion")
    before.count("records_out_total", 1_000, topic="avatar.frames")
    after.count("records_out_total", 30, topic="avatar.frames")
    flow.add(0.0, readings(fusion=before))
    flow.add(1.0, readings(fusion=after))
    assert per_second(flow, "avatar.frames") == 30


def test_the_view_fits_eighty_columns_and_shows_what_matters():
    flow, ingest, egress = Flow(), Metrics("ingest"), Metrics("egress")
    ingest.set("sessions_active", 3)
    ingest.count("dropped_total", 7, modality="face", outcome="replaced_by_newer")
    flow.add(0.0, readings())
    for _ in range(100):
        egress.observe("hop_seconds", 0.0395, hop="face_captured_to_relayed")
    flow.add(1.0, readings(ingest=ingest, egress=egress))
    child = Child(ChildSpec("speech-worker", [], {}, None, lambda _since: True), state="waiting", restarts=12)
    output = io.StringIO()
    Console(file=output, width=200).print(render("http://127.0.0.1:8420", 61.5, {"speech-worker": child}, flow))
    text = output.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH
    for shown in ("sessions 3", "restarting", "12", "face replaced", "in all", "39.", "up 01:01"):
        assert shown in text


def test_the_view_of_a_bad_day_fits_a_terminal_of_24_lines():
    flow, ingest, egress = Flow(), Metrics("ingest"), Metrics("egress")
    for modality in Modality:
        for outcome in Outcome:
            ingest.count("dropped_total", 99_999, modality=modality.value, outcome=outcome.value)
    flow.add(0.0, readings())
    for modality in Modality:
        for _, span in SPANS:
            egress.observe("hop_seconds", 9.9, hop=f"{modality.value}_{span}")
    flow.add(1.0, readings(ingest=ingest, egress=egress))
    children = {
        name: Child(ChildSpec(name, [], {}, None, lambda _since: True), state="waiting", restarts=99)
        for name in ("kafka", *RoleName)
    }
    output = io.StringIO()
    Console(file=output, width=80).print(render("http://127.0.0.1:8420", 61.5, children, flow))
    assert len(output.getvalue().splitlines()) <= 23  # and the cursor's line
