"""The viseme network's training: it learns, goes on after an interruption, and its ONNX form says the same."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning", reason="run these tests by `make test-models`, which has an environment for them")

import torch

from inference_workers.engines.viseme_network import VisemeNetwork
from inference_workers.speech.articulation import CONTEXT
from inference_workers.speech.phones import Segment
from inference_workers.training import viseme_network, viseme_pipeline
from inference_workers.training.spoken import Utterance
from inference_workers.training.viseme import Examples, examples_of
from schemas.vocabulary import VISEMES
from tests.support.voices import FORMANTS_HZ, noise, vowel

SHAPES = {"aa": "a", "ih": "i", "ou": "u"}


def utterance(voice: str, seed: int) -> Utterance:
    """Vowels and hisses in a random order."""
    random = np.random.default_rng(seed)
    parts, phones, at_s = [], [], 0.0
    for _ in range(8):
        name = str(random.choice([*SHAPES, "s"]))
        parts.append(noise(0.2, 4_500, 7_500, 0.1) if name == "s" else vowel(0.2, FORMANTS_HZ[name]))
        phones.append(Segment(at_s, at_s + 0.2, SHAPES.get(name, "s")))
        at_s += 0.2
    return Utterance(np.concatenate(parts).astype(np.float64), tuple(phones), voice)


@pytest.fixture(scope="module")
def examples() -> Examples:
    voices = ["de"] * 40 + ["fi"] * 4
    return examples_of([utterance(voice, n) for n, voice in enumerate(voices)], viseme_pipeline.LOOK_AHEADS_MS, 1, 0)


def test_it_learns_goes_on_and_is_exported(examples: Examples, tmp_path: Path) -> None:
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        viseme_network.fit(examples, epochs=25, seed=0, checkpoints=tmp_path, say=stop)
    net = viseme_network.fit(examples, epochs=25, seed=0, checkpoints=tmp_path, say=said.append)
    assert [line.split(":")[0] for line in (said[0], said[-1])] == ["epoch 1 of 25", "epoch 25 of 25"]
    assert 25 <= len(said) <= 26, "what was done before the interruption is not done again"
    away = examples.held_out
    first, *_, last = viseme_network.accuracies(net, examples.frames[away], examples.labels[:, away])
    assert min(first, last) > 0.6

    head = viseme_pipeline.LOOK_AHEADS_MS.index(20)
    frequency = viseme_network.frequencies(examples.labels[head])
    assert frequency.sum() == pytest.approx(1.0)
    size, _ = viseme_network.write_onnx(net, head, frequency, 0.0, tmp_path / "viseme.onnx")
    assert size < 500_000
    engine = VisemeNetwork(tmp_path / "viseme.onnx")
    frames = examples.frames[300 : 300 + CONTEXT].astype(np.float32).T[None]
    (found,) = engine._session.run(None, {"frames": frames})
    with torch.inference_mode():
        wanted = torch.softmax(net(torch.from_numpy(frames))[:, :, head, 0], 1).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.shape == (1, len(VISEMES))
