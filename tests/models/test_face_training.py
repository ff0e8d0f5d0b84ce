"""The face emotion network is really fitted, on pictures that a test can make, and really exported."""

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cli.train import app
from inference_workers.engines.face_emotion import FaceEmotion
from inference_workers.training.face import corpora, pipeline
from inference_workers.training.face.augmentation import vary
from inference_workers.training.face.corpora import SIDE, Split
from inference_workers.training.face.exporting import folded
from inference_workers.training.face.fitting import FacesDataset, InOrder, Recipe, Shuffled, fit
from inference_workers.training.face.network import FaceEmotionNet
from runtime.errors import PrerequisiteError
from schemas.vocabulary import EMOTIONS

QUICK = Recipe(epochs=2, cooling=1, warming=0, batch=14, rate=0.02, averaging=0.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """FER2013's folders with a bar in another direction for each emotion: mirror-proof, easy to learn."""
    folder = tmp_path_factory.mktemp("fer")
    random = np.random.default_rng(0)
    for part, count in (("train", 10), ("validation", 3)):
        for place, emotion in enumerate(EMOTIONS):
            (folder / part / emotion).mkdir(parents=True)
            for number in range(count):
                picture = np.full((SIDE, SIDE), 60, np.uint8)
                cv2.circle(picture, (24, 24), 3 + 3 * place, 200, 2)
                noisy = np.clip(picture + random.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / part / emotion / f"{number}.png"), noisy)
    return folder


def state_of(net: FaceEmotionNet):
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_a_training_that_is_resumed_is_the_training(corpus, tmp_path):
    read = corpora.find(corpus).read
    train, validation = read(Split.TRAIN), read(Split.VALIDATION)
    whole = state_of(fit(QUICK, train, validation, tmp_path / "whole"))

    class StoppedError(Exception):
        pass

    def stop_after_one(line: str) -> None:
        if line.startswith("epoch 2"):
            raise StoppedError

    # The checkpoint of an epoch is written after its line, so the second epoch is lost.
    with pytest.raises(StoppedError):
        fit(QUICK, train, validation, tmp_path / "parts", progress=stop_after_one)
    resumed = state_of(fit(QUICK, train, validation, tmp_path / "parts", resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    other = state_of(
        fit(Recipe(epochs=1, cooling=1, warming=0, batch=14, seed=1), train, validation, tmp_path / "seed")
    )
    assert any(not torch.equal(whole[name], other[name]) for name in whole)


def test_from_a_corpus_to_a_network_that_the_engine_runs(corpus, tmp_path):
    lines: list[str] = []
    made = pipeline.train(
        corpus, tmp_path, QUICK, resume=False, processes=1, command="affectstream train face", progress=lines.append
    )
    assert made is not None
    assert any(line.startswith("epoch 2 of 2: accuracy") for line in lines)
    card = made.card.read_text(encoding="utf-8")
    for said in (made.sha256, "its terms are unclear", "| disgust | 3 |", "torch 2.11", "not known"):
        assert said in card
    assert made.weights.stat().st_size < 4_000_000
    pictures = corpora.find(corpus).read(Split.VALIDATION).pictures
    by_engine = np.array(FaceEmotion(made.weights).scores(list(pictures)))
    assert by_engine.argmax(axis=1).tolist() == [
        int(np.argmax(row)) for row in np.array(FaceEmotion(made.weights).scores(list(pictures[:, :, ::-1])))
    ]
    assert by_engine.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_folding_and_halving_leave_the_answers(tmp_path):
    torch.manual_seed(0)
    net = FaceEmotionNet().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as if something had been learnt
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    pictures = torch.randint(0, 256, (5, SIDE, SIDE), dtype=torch.uint8)
    x = pictures.float()[:, None]
    with torch.inference_mode():
        assert torch.allclose(folded(net)(x), net(x), atol=1e-4)
        wanted = torch.softmax(0.5 * (net(x) + net(x.flip(3))) / 1.7, dim=1)
    pipeline.write_onnx(net, tmp_path / "net.onnx", 1.7)
    found = FaceEmotion(tmp_path / "net.onnx").scores(list(pictures.numpy()))
    assert np.array(found) == pytest.approx(wanted.numpy(), abs=2e-3)


@pytest.mark.parametrize("side", [40, 48])
def test_variations_are_pictures_and_depend_on_the_seed_alone(side):
    pictures = torch.randint(0, 256, (64, 1, SIDE, SIDE), dtype=torch.uint8)
    kept = pictures.clone()
    torch.manual_seed(3)
    first = vary(pictures, side)
    torch.manual_seed(3)
    assert torch.equal(first, vary(pictures, side))
    assert first.shape == (64, 1, side, side)
    assert 0.0 <= float(first.min()) < float(first.max()) <= 255.0
    assert torch.equal(pictures, kept)
    assert not torch.equal(first, vary(pictures, side))


def test_gain_and_offset_of_the_light_do_not_matter():
    net = FaceEmotionNet().eval()
    picture = torch.rand(1, 1, SIDE, SIDE) * 100 + 50
    with torch.inference_mode():
        assert torch.allclose(net(picture), net(picture * 1.4 - 20.0), atol=0.05)


def test_batches_are_shared_out_and_differ_by_epoch():
    step = 0
    whole, *halves = (Shuffled(10, 4, 0, lambda: step, *of) for of in ((), (0, 2), (1, 2)))
    first = list(whole)
    for step in (0, 2):
        assert (list(whole) == first) == (step == 0)
        for batch, *parts in zip(whole, *halves, strict=True):
            assert sorted(batch) == sorted(row for part in parts for row in part)
    assert len(whole) == 2
    assert [rows for batch in InOrder(5, 2) for rows in batch] == [0, 1, 2, 3, 4]
    assert len(InOrder(5, 2)) == 3


def test_the_rate_rises_stays_and_falls_and_pictures_grow():
    recipe = Recipe(epochs=30, cooling=10, warming=2)
    assert recipe.rate_factor(0.0) < 0.01
    assert [recipe.rate_factor(e) for e in (2, 19.9, 25, 30)] == pytest.approx([1.0, 1.0, 0.5, 0.0])
    assert [recipe.side(e) for e in (0, 19, 20, 29)] == [40, 40, 48, 48]
    shorter = recipe.of(3)
    assert (shorter.epochs, shorter.cooling, shorter.warming) == (3, 1, 1)


def test_the_command(corpus, tmp_path):
    arguments = ["face", "--data", str(corpus), "--out", str(tmp_path / "out"), "--epochs", "1"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "face_emotion.md" in found.stdout
    assert (tmp_path / "out" / "checkpoints" / "last.ckpt").exists()
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, PrerequisiteError)
    assert "--resume" in str(again.exception)
    # Everything is done already: the network is written again.
    assert CliRunner().invoke(app, [*arguments, "--resume"]).exit_code == 0


def test_a_batch_is_read_by_its_numbers(corpus):
    faces = corpora.find(corpus).read(Split.VALIDATION)
    pictures, labels = FacesDataset(faces)[[0, 4]]
    assert pictures.shape == (2, 1, SIDE, SIDE)
    assert labels.tolist() == faces.labels[[0, 4]].tolist()
