"""What operators see of the running product: dashboards and alerts in a real Prometheus, traces at a real receiver."""

import itertools
import os
import threading

import orjson
import pytest
import yaml
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from analytics.traces import session_digest
from cli.demo import Demo
from cli.links import watch_link
from runtime.clock import SystemClock
from runtime.settings import Settings
from tests.support.otlp_receiver import receiving
from tests.support.prerequisites import cache_dir, required
from tests.support.prometheus import INFRA, require, scraping
from tests.support.waiting import eventually

DASHBOARDS = yaml.safe_load((INFRA / "grafana" / "dashboards.yaml").read_text(encoding="utf-8"))
QUERIES = [
    (f"{dashboard['title']}: {panel['title']}", query["expr"].replace("$__rate_interval", "15s"), panel.get("quiet"))
    for dashboard in DASHBOARDS
    for panel in dashboard["panels"]
    for query in panel["queries"]
]


class Viewer:
    """Watches a session as the page does, and says what was on the screen."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="viewer")
        self._thread.start()

    def _run(self) -> None:
        frames = itertools.count()
        authorization = {"Authorization": f"Bearer {self._token}"}
        with connect(self._url, additional_headers=authorization, compression=None) as socket:
            while not self._stop.is_set():
                try:
                    message = orjson.loads(socket.recv(timeout=0.5))
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    return
                if message["type"] == "avatar_frame" and next(frames) % 10 == 0:
                    ack = {"type": "ack", "sequence": message["sequence"], "rendered_at_us": SystemClock().now_us()}
                    socket.send(orjson.dumps(ack).decode())

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def seen(tmp_path_factory, broker):
    """The product with the sample session and a viewer, a Prometheus that scrapes it, a receiver of its traces."""
    require("prometheus")
    folder = tmp_path_factory.mktemp("seen")
    with receiving() as receiver:
        settings = Settings.from_env(
            {}, data_dir=folder / "data", cache_dir=cache_dir(), partitions=2, kafka_bootstrap_servers=broker,
            topic_prefix="seen.", trace_endpoint=receiver.endpoint, trace_share=1.0,
        )  # fmt: skip
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ["KAFKA_BOOTSTRAP_SERVERS"] = broker
        demo = Demo(settings, environ, port=0, with_sample=True)
        with required():
            deployment = demo.deployment(print)
            player = demo.player(deployment, print)
        deployment.start(print)
        viewer = None
        try:
            rules = [INFRA / "prometheus" / "alerts.yaml"]
            with scraping(deployment.metrics_ports, folder / "prometheus", rules) as prometheus:
                player.start()
                session_id = eventually(lambda: player.session_id, deadline_s=20)
                link = watch_link(demo.settings, SystemClock(), "", session_id, ttl_s=300)
                address = deployment.addresses.egress.replace("http", "ws", 1)
                viewer = Viewer(f"{address}/v1/sessions/{session_id}/avatar", link.partition("token=")[2])
                yield prometheus, receiver, session_id
        finally:
            player.stop()
            if viewer is not None:
                viewer.close()
            deployment.stop()


def test_every_target_is_up_and_every_rule_can_be_evaluated(seen):
    prometheus, _, _ = seen
    eventually(lambda: {t["health"] for t in prometheus.targets()} == {"up"}, deadline_s=15, what="targets up")
    rules = eventually(
        lambda: (found := prometheus.rules()) and all(r["health"] == "ok" for r in found) and found, deadline_s=20
    )
    written = yaml.safe_load((INFRA / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    assert {r["name"] for r in rules} == {r["alert"] for g in written["groups"] for r in g["rules"]}
    # A session that just began is nothing to wake anybody up for.
    assert [r["name"] for r in rules if r["state"] == "firing" and r["labels"]["severity"] == "page"] == []


def test_every_panel_answers(seen):
    prometheus, _, _ = seen
    loud = {title: expression for title, expression, quiet in QUERIES if not quiet}
    empty: dict[str, str] = dict(loud)

    def all_answer() -> bool:
        for title, expression in list(empty.items()):
            if prometheus.query(expression):
                del empty[title]
        return not empty

    eventually(all_answer, deadline_s=60, every_s=0.5, what=lambda: f"no data: {empty}")
    for _, expression, quiet in QUERIES:
        if quiet:
            prometheus.query(expression)  # valid, at least


@pytest.mark.parametrize("modality", ["face", "speech"])
def test_the_means_of_the_hops_add_up_to_the_mean_of_the_whole(seen, modality):
    """Each frame that is observed is observed at every hop, so that nothing between capture and egress is unstamped."""
    prometheus, _, _ = seen
    whole = f'affectstream_hop_seconds_sum{{hop="{modality}_captured_to_relayed", component="egress"}}'
    eventually(lambda: prometheus.query(f"{whole} > 0"), deadline_s=60)
    parts = (
        f'sum(affectstream_hop_seconds_sum{{hop=~"{modality}_.*", hop!~".*_captured_to_relayed", component="egress"}})'
    )
    counted = f'affectstream_hop_seconds_count{{hop="{modality}_captured_to_relayed", component="egress"}}'

    def accounted() -> bool:
        # Most scrapes fall between two frames; one in the midst of a frame has some of its hops and not the others.
        missing_s = prometheus.value(f"(sum({whole}) - {parts}) / sum({counted})")
        return abs(missing_s) < 1e-6

    eventually(accounted, deadline_s=20, every_s=0.5)


def test_traces_of_the_session_come_by_otlp_and_account_for_every_frame_whole(seen):
    prometheus, receiver, session_id = seen

    def complete():
        return [t for t in receiver.traces().values() if {"frame", "face", "speech", "relay", "glass"} <= set(t)]

    traces = eventually(complete, deadline_s=60, every_s=0.2, what=lambda: f"{receiver.requests} requests")
    for trace in traces:
        root = trace["frame"]
        assert root.parent_id == b""
        assert root.attributes["affectstream.session_digest"] == session_digest(session_id)
        assert {span.parent_id for span in trace.values()} - {b""} <= {span.span_id for span in trace.values()}
        slower = max(("face", "speech"), key=lambda name: trace[name].end_ns)
        way = [trace[f"{slower}.{hop}"] for hop in ("transport", "ingest", "queue", "inference")]
        way += [trace[name] for name in ("fusion", "relay", "glass")]
        assert sum(span.end_ns - span.start_ns for span in way) == way[-1].end_ns - way[0].start_ns
        assert way[-1].end_ns == root.end_ns
        assert trace["fusion"].service == "fusion"
        assert trace["face"].service == "face-worker"
    assert session_id not in repr(receiver.spans)
    eventually(lambda: prometheus.query('affectstream_spans_total{outcome="exported"} > 0'), deadline_s=15)
