"""Heads of a chain on a real KServe v2 server, by gRPC and by REST."""

import logging

import numpy as np
import pytest
import yaml

from inference_workers import face_chain
from inference_workers.engines.face_geometry import ROI_SCALE, Roi
from inference_workers.engines.face_heads import ChainHeads
from inference_workers.engines.onnx_heads import OnnxNetwork
from inference_workers.engines.protocols import FaceInput
from inference_workers.engines.served_heads import ServedNetwork
from inference_workers.face_engines import backed_face_engine
from inference_workers.failover import FIRST_PAUSE_US
from runtime.clock import ManualClock
from runtime.errors import ModelError, ModelServerError
from runtime.metrics import Metrics
from runtime.settings import Settings
from tests.models.model_server import ModelServer
from tests.support.faces import astronaut
from tests.support.prerequisites import cache_dir
from tests.support.tiny_networks import head

WHOLE = Roi(32.0, 32.0, 64.0 * ROI_SCALE, 0.0)
"""Of a picture of 64 x 64."""
EMOTIONS = {"name": "logits", "says": "emotions", "labels": ["happiness", "sadness"], "activation": "softmax"}
TOGETHER = {"name": "batch", "says": "action_units", "labels": ["AU45"], "activation": "none", "range": [0, 64]}
"""How many faces the server was given together, by way of an AU."""


def served(head):
    return ServedNetwork(head, timeout_s=10.0)


def described(where, *outputs, **takes):
    raw = {"input": {"size": 32, "colour": "bgr", **takes}, "outputs": list(outputs) or [EMOTIONS, TOGETHER]}
    return raw | ({"server": where} if "://" in where else {"file": where})


def written(folder, *heads):
    path = folder / "chain.yaml"
    raw = {"name": "mine", "version": 1, "licence": "MIT", "heads": list(heads)}
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def faces(count):
    """As many faces, each of another colour."""
    colours = np.random.default_rng(0).integers(0, 256, (count, 3))
    return [(np.full((64, 64, 3), colour, np.uint8), WHOLE) for colour in colours]


def chain(server, scheme, folder, *, model="face_means", outputs=(), batch=8, **takes):
    raw = described(server.url(scheme, model), *outputs, **takes) | {"batch": batch}
    heads = ChainHeads(face_chain.load(written(folder, raw)), served)
    heads.warm_up()
    return heads


@pytest.mark.parametrize("count", [1, 3, 8, 11])
def test_a_served_network_says_what_the_same_network_in_a_file_says(server, scheme, tmp_path, count):
    head(tmp_path / "head.onnx", {"logits": [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]})
    by_file = ChainHeads(face_chain.load(written(tmp_path, described("head.onnx", EMOTIONS))), OnnxNetwork)
    expected = [each.scores for each in by_file.read(faces(count))]
    found = chain(server, scheme, tmp_path).read(faces(count))
    np.testing.assert_allclose([each.scores for each in found], expected, atol=1e-6)
    assert len({each.scores for each in found}) == count


@pytest.mark.parametrize("most, requests", [(8, [1]), (8, [8] * 8), (8, [8] * 8 + [3] * 3), (2, [2, 2, 1])])
def test_faces_travel_together(server, scheme, tmp_path, most, requests):
    heads = chain(server, scheme, tmp_path, batch=most)
    assert heads.max_batch == most
    assert [64 * told.aus["AU45"] for told in heads.read(faces(len(requests)))] == pytest.approx(requests)


def test_grey_bytes(server, scheme, tmp_path):
    output = {"says": "action_units", "labels": ["AU12"], "activation": "none", "range": [0, 255]}
    heads = chain(
        server, scheme, tmp_path, model="face_bytes", outputs=[output], colour="grey", layout="nhw", scale=1
    )  # fmt: skip
    picture = np.full((64, 64, 3), 90, np.uint8)
    (told,) = heads.read([(picture, WHOLE)])
    assert 255 * told.aus["AU12"] == pytest.approx(90, abs=0.01)


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"model": "nowhere"}, r"/nowhere: the server has no such model: "),
        ({"size": 48}, r"shape \[-1, 3, 32, 32\], .*says \[1, 3, 48, 48\] \(nchw, bgr, size 48\)"),
        ({"layout": "nhwc"}, r"says \[1, 32, 32, 3\] \(nhwc"),
        ({"outputs": [EMOTIONS | {"labels": ["happy"]}]}, r"its output logits gives 2 numbers, .*columns \[0\]"),
        ({"outputs": [EMOTIONS | {"name": "probs"}]}, r"has no output 'probs': its outputs are logits, batch"),
        ({"outputs": [EMOTIONS | {"name": ""}]}, "has 2 outputs, and the description does not say which"),
        ({"outputs": [EMOTIONS | {"activation": "none"}]}, "of a blank picture, logits gives numbers .*softmax"),
        ({"model": "band_emotion"}, r"its input windows has the shape \[-1, 16000\]"),
    ],
)
def test_a_model_that_is_not_as_described_ends_the_start(server, scheme, tmp_path, asked, said):
    with pytest.raises(ModelError, match=said):
        chain(server, scheme, tmp_path, **asked)


def test_halves_need_grpc(tmp_path):
    for scheme, known in (("grpc", True), ("http", False)):
        (described_head,) = face_chain.load(written(tmp_path, described(f"{scheme}://x:1/m"))).heads
        assert ("FP16" in served(described_head).dtypes) is known


def engine_of(settings, clock=None):
    return backed_face_engine(settings, clock or ManualClock(), Metrics("face-worker"))


def settings_for(where, folder):
    path = written(folder, described(where))
    return Settings(cache_dir=cache_dir(), face_engine="onnx", face_chain=str(path), face_timeout_ms=500)


def seen(engine, pictures=3):
    """Who answered, of so many sessions' pictures, and whether they are marked as degraded."""
    outputs = engine.infer([FaceInput(astronaut(), 0)] * pictures)
    assert all(output.signal.face_detected for output in outputs)
    return {(output.source or engine.source, output.signal.degraded) for output in outputs}


OURS, THEIRS = {("landmarker@4", True)}, {("chain:mine@1+landmarker@4", False)}


def test_the_embedded_engine_answers_while_the_server_is_frozen(tmp_path, scheme):
    server = ModelServer(tmp_path)
    clock = ManualClock()
    try:
        server.start()
        engine = engine_of(settings_for(server.url(scheme, "face_means"), tmp_path), clock)
        assert engine.max_batch == 8
        assert seen(engine) == THEIRS
        server.freeze()
        assert seen(engine) == OURS
        server.thaw()
        assert seen(engine) == OURS, "until a probe says that it is back"
        clock.advance(us=FIRST_PAUSE_US)
        assert seen(engine) == OURS
        assert engine._probe.exception(timeout=30) is None
        assert seen(engine) == THEIRS
    finally:
        server.kill()


def test_a_server_that_is_not_there_is_answered_for(tmp_path, scheme, caplog):
    heads = ChainHeads(face_chain.load(written(tmp_path, described(f"{scheme}://127.0.0.1:9/m"))), served)
    with pytest.raises(ModelServerError, match=r"://127.0.0.1:9/m: "):
        heads.warm_up()
    with caplog.at_level(logging.WARNING):
        engine = engine_of(settings_for(f"{scheme}://127.0.0.1:9/m", tmp_path))
    assert "landmarker@4 answers: ModelServerError" in caplog.text
    assert seen(engine) == OURS


def test_a_wrong_model_ends_the_worker_s_start(server, scheme, tmp_path):
    with pytest.raises(ModelError, match="nowhere: the server has no such model"):
        engine_of(settings_for(server.url(scheme, "nowhere"), tmp_path))


def test_who_does_not_warm_up_is_told_by_the_first_face(server, scheme, tmp_path):
    path = written(tmp_path, described(server.url(scheme, "face_means")))
    (told,) = ChainHeads(face_chain.load(path), served).read(faces(1))
    assert told.scores is not None
    wrong = written(tmp_path, described(server.url(scheme, "face_means"), size=48))
    with pytest.raises(ModelError, match="mend size"):
        ChainHeads(face_chain.load(wrong), served).read(faces(1))
