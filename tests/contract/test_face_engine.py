"""What every face engine promises, the fake one included."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from inference_workers.engines.protocols import FaceEngine, FaceInput
from inference_workers.face_engines import backed_face_engine
from runtime.clock import ManualClock
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import Signal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS
from tests.support.engines import landmarker
from tests.support.faces import astronaut, blank
from tests.support.fake_face_engine import FakeFaceEngine
from tests.support.prerequisites import cache_dir
from tests.support.tiny_networks import head


def _chain(folder: Path) -> FaceEngine:
    """A chain of a tiny network that says all that heads can say, backed up as in a worker."""
    landmarker()  # skips without the models
    head(folder / "head.onnx", {"out": np.full((3, 5), 0.5).tolist()})
    labels = {"emotions": ["anger", "contempt"], "affect": ["valence", "arousal"], "action_units": ["AU12"]}
    outputs = [
        {"says": "emotions", "labels": labels["emotions"], "map": {"contempt": "none"}, "activation": "softmax"},
        {"says": "affect", "labels": labels["affect"], "first": 2, "activation": "tanh"},
        {"says": "action_units", "labels": labels["action_units"], "first": 4, "activation": "sigmoid"},
    ]
    raw = {
        "name": "tiny", "version": "1.0", "licence": "CC0-1.0",
        "heads": [{"file": "head.onnx", "input": {"size": 32}, "outputs": outputs}],
    }  # fmt: skip
    (folder / "chain.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    settings = Settings(cache_dir=cache_dir(), face_engine="onnx", face_chain=str(folder / "chain.yaml"))
    return backed_face_engine(settings, ManualClock(), Metrics("face-worker"))


@pytest.fixture(params=["landmarker", "chain", "fake"])
def engine(request, tmp_path) -> FaceEngine:
    if request.param == "chain":
        return _chain(tmp_path)
    engine = landmarker() if request.param == "landmarker" else FakeFaceEngine()
    engine.warm_up()
    return engine


def test_it_names_itself_with_a_version(engine):
    # What is not ours stands before what is.
    assert re.fullmatch(r"([a-z]+:[a-z0-9_.-]+@[a-z0-9_.-]+\+)?[a-z_]+@[0-9.]+", engine.source)
    assert engine.max_batch >= 1


def test_one_output_an_input_in_order(engine):
    outputs = engine.infer([FaceInput(p, 0) for p in (astronaut(), blank(), astronaut())])
    assert [output.signal.face_detected for output in outputs] == [True, False, True]


def test_without_a_face_everything_is_zero(engine):
    (output,) = engine.infer([FaceInput(blank(), 0)])
    values = dataclasses.asdict(output.signal)
    assert values.pop("track_id") == -1
    assert not any(np.any(value) for value in values.values())


def test_the_state_is_given_back(engine):
    (first,) = engine.infer([FaceInput(astronaut(), 0)])
    (second,) = engine.infer([FaceInput(astronaut(), 33_000, first.state)])
    assert second.signal.face_detected
    assert first.signal.face_count == second.signal.face_count == 1


def test_ranges_and_lengths_fit_the_contract(engine):
    (output,) = engine.infer([FaceInput(astronaut(), 0)])
    signal = output.signal
    assert (len(signal.emotion_scores), len(signal.au_intensities), len(signal.blendshapes), len(signal.box)) == (
        len(EMOTIONS), len(AUS), len(BLENDSHAPES), 4,
    )  # fmt: skip
    assert sum(signal.emotion_scores) == pytest.approx(1.0)
    for values in (signal.emotion_scores, signal.au_intensities, signal.blendshapes, (signal.confidence,)):
        assert all(0.0 <= value <= 1.0 for value in values)
    for value in (signal.valence, signal.arousal, signal.dominance, signal.gaze_x, signal.gaze_y):
        assert -1.0 <= value <= 1.0


def test_the_signal_can_be_written_and_read(engine):
    (output,) = engine.infer([FaceInput(astronaut(), 0)])
    record = Signal(1, 2, 3, 4, 5, output.signal, 0, "s", engine.source)
    read = Codec().decode(Signal, Codec().encode(record))
    assert read.payload.emotion_scores == pytest.approx(output.signal.emotion_scores, abs=1e-6)
