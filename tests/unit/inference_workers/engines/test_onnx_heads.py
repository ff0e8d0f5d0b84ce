import cv2
import numpy as np
import pytest
import yaml
from onnx import TensorProto

from inference_workers import face_chain, models
from inference_workers.engines.face_crops import Framing, cut
from inference_workers.engines.face_emotion import FRAMING, SIDE, FaceEmotion, crop
from inference_workers.engines.face_geometry import ROI_SCALE, Roi
from inference_workers.engines.face_heads import ChainHeads, prepare
from inference_workers.engines.onnx_heads import OnnxNetwork
from inference_workers.engines.protocols import SAYS_NOTHING, Told
from inference_workers.face_chain import Input
from runtime.errors import ModelError
from schemas.vocabulary import AUS, EMOTIONS
from tests.support.faces import astronaut
from tests.support.prerequisites import REPOSITORY
from tests.support.tiny_networks import head

WHOLE = Roi(32.0, 32.0, 64.0 * ROI_SCALE, 0.0)
"""Of a picture of 64 x 64."""
EVEN = 1 / len(EMOTIONS)


def plain(blue: int = 51, green: int = 102, red: int = 204) -> np.ndarray:
    """A picture of one colour, which every crop of it has."""
    return np.full((64, 64, 3), (blue, green, red), np.uint8)


def read(heads: ChainHeads, picture, roi) -> Told:
    (told,) = heads.read([(picture, roi)])
    return told


def heads_of(folder, *described) -> ChainHeads:
    raw = {"name": "mine", "version": "1", "licence": "MIT", "heads": list(described)}
    path = folder / "chain.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return ChainHeads(face_chain.load(path), OnnxNetwork)


def described(output, *, file="head.onnx", **takes):
    return {"file": file, "input": {"size": 32, "scale": 1, **takes}, "outputs": [output]}


def emotions(**changes):
    return {"says": "emotions", "labels": ["happiness", "sadness"], "activation": "softmax", **changes}


def test_emotions_by_softmax_and_temperature(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[2.0, 0.0])
    told = read(heads_of(tmp_path, described(emotions(temperature=2.0))), plain(), WHOLE)
    scores = dict(zip(EMOTIONS, told.scores, strict=True))
    assert scores["happy"] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert sum(told.scores) == pytest.approx(1.0)
    assert (told.valence, told.aus) == (None, {})


def test_what_is_none_of_ours_is_spread_evenly(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[0.7, 0.3])
    output = emotions(labels=["contempt", "fear"], map={"contempt": "none"}, activation="none")
    scores = read(heads_of(tmp_path, described(output)), plain(), WHOLE).scores
    assert scores == pytest.approx([0.3 + 0.7 * EVEN if name == "fear" else 0.7 * EVEN for name in EMOTIONS])


def test_two_labels_may_be_one_emotion(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0, 0, 0], [0, 0, 0], [0, 0, 0]]}, bias=[0.5, 0.3, 0.2])
    output = emotions(labels=["anger", "contempt", "joy"], map={"contempt": "angry"}, activation="none")
    scores = read(heads_of(tmp_path, described(output)), plain(), WHOLE).scores
    assert scores[EMOTIONS.index("angry")] == pytest.approx(0.8)
    assert scores[EMOTIONS.index("happy")] == pytest.approx(0.2)


def test_sigmoids_need_not_sum_to_one(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[0.0, np.log(3)])
    scores = read(heads_of(tmp_path, described(emotions(activation="sigmoid"))), plain(), WHOLE).scores
    assert scores[EMOTIONS.index("sad")] == pytest.approx(0.75 / 1.25)


@pytest.mark.parametrize(
    "takes, layout, shape",
    [
        ({"colour": "rgb"}, "nchw", ("n", 3, 32, 32)),
        ({"colour": "bgr"}, "nchw", ("n", 3, 32, 32)),
        ({"colour": "rgb", "layout": "nhwc"}, "nhwc", (1, 32, 32, 3)),
        ({"colour": "bgr", "layout": "nhwc"}, "nhwc", ("n", "h", "w", 3)),
    ],
)
def test_colours_arrive_in_their_order_and_range(tmp_path, takes, layout, shape):
    """Each channel alone decides one AU: what the network got can be read off."""
    head(tmp_path / "head.onnx", {"out": np.eye(3).tolist()}, shape=shape, layout=layout)
    output = {"says": "action_units", "labels": ["AU1", "AU2", "AU4"], "activation": "none"}
    said = read(
        heads_of(tmp_path, described(output, **takes, scale=255, mean=[0.1, 0.0, 0.0], std=[2.0, 1.0, 1.0])),
        plain(51, 102, 204),
        WHOLE,
    )
    first, last = (0.8, 0.2) if takes["colour"] == "rgb" else (0.2, 0.8)
    assert said.aus == pytest.approx({"AU01": (first - 0.1) / 2.0, "AU02": 0.4, "AU04": last}, abs=1e-4)


@pytest.mark.parametrize("layout, shape", [("nchw", ("n", 1, 32, 32)), ("nhw", ("n", 32, 32))])
def test_grey_pictures_as_bytes(tmp_path, layout, shape):
    head(tmp_path / "head.onnx", {"out": [[1.0]]}, shape=shape, layout=layout, takes=TensorProto.UINT8)
    output = {"says": "action_units", "labels": ["AU45"], "activation": "none", "range": [0, 255]}
    said = read(heads_of(tmp_path, described(output, colour="grey", layout=layout)), plain(90, 90, 90), WHOLE)
    assert said.aus["AU45"] == pytest.approx(90 / 255)


def test_half_precision(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0.01], [0.0], [0.0]]}, takes=TensorProto.FLOAT16)
    output = {"says": "affect", "labels": ["valence"], "activation": "none"}
    said = read(heads_of(tmp_path, described(output, colour="bgr")), plain(blue=50), WHOLE)
    assert said.valence == pytest.approx(0.5, abs=1e-3)


def test_affect_and_units_are_brought_to_our_ranges(tmp_path):
    head(tmp_path / "a.onnx", {"out": [[0] * 2] * 3}, bias=[4.0, 9.0])
    head(tmp_path / "b.onnx", {"out": [[0] * 3] * 3}, bias=[2.5, -3.0, 0.0])
    affect = {"says": "affect", "labels": ["arousal", "dominance"], "activation": "none", "range": [1, 9]}
    units = {"says": "action_units", "labels": ["AU12", "AU25", "none"], "activation": "none", "range": [0, 5]}
    said = read(heads_of(tmp_path, described(affect, file="a.onnx"), described(units, file="b.onnx")), plain(), WHOLE)
    assert (said.valence, said.arousal, said.dominance) == (None, pytest.approx(-0.25), pytest.approx(1.0))
    assert said.aus == {"AU12": 0.5, "AU25": 0.0}
    assert said.scores is None


def test_one_output_may_say_several_things(tmp_path):
    head(tmp_path / "head.onnx", {"out": [[0] * 4] * 3}, bias=[1.0, 1.0, 0.5, -0.5])
    both = described(emotions())
    both["outputs"] += [{"says": "affect", "labels": ["valence", "arousal"], "activation": "none", "first": 2}]
    said = read(heads_of(tmp_path, both), plain(), WHOLE)
    assert said.scores[EMOTIONS.index("happy")] == pytest.approx(0.5)
    assert (said.valence, said.arousal) == (0.5, -0.5)


def test_the_shipped_network_as_a_chain_says_what_it_says_in_the_default_engine(tmp_path):
    """Crop, colours, layout and order of labels together, on a real face and real weights."""
    weights = models.MANIFEST.parent / "weights" / "face_emotion.onnx"
    own = {
        "file": str(weights),
        "input": {"size": SIDE, "colour": "grey", "layout": "nhw", "scale": 1},
        "crop": {"scale": FRAMING.scale, "rise": FRAMING.rise},
        "outputs": [{"says": "emotions", "labels": list(EMOTIONS), "activation": "none"}],
    }
    roi = Roi(222.0, 115.0, 190.0, 0.1)
    (expected,) = FaceEmotion(weights).scores([crop(astronaut(), roi)])
    assert read(heads_of(tmp_path, own), astronaut(), roi).scores == pytest.approx(expected, abs=1e-6)


def test_the_documented_example_runs(tmp_path):
    text = (REPOSITORY / "docs" / "face-chain.yaml").read_text(encoding="utf-8")
    (tmp_path / "face-chain.yaml").write_text(text, encoding="utf-8")
    head(tmp_path / "efficientnet_b0_affectnet.onnx", {"logits": [[0] * 10] * 3}, shape=("batch", 3, 224, 224))
    head(tmp_path / "resnet50_action_units.onnx", {"aus": [[0.01] * 7] * 3}, shape=(1, 112, 112, 3), layout="nhwc")
    said = read(ChainHeads(face_chain.load(tmp_path / "face-chain.yaml"), OnnxNetwork), plain(), WHOLE)
    assert said.scores == pytest.approx([EVEN / 8 + 1 / 8] * len(EMOTIONS))
    assert (said.valence, said.arousal) == (0.0, 0.0)
    assert set(said.aus) == {"AU01", "AU02", "AU04", "AU06", "AU12", "AU25"}


class TestRefused:
    @pytest.mark.parametrize(
        "changes, takes, said",
        [
            ({"labels": ["happy"]}, {}, r"head\.onnx: its output out gives 2 numbers, .*columns \[0\].*`none`"),
            ({"labels": ["happy", "sad", "fear"]}, {}, r"its output out gives 2 numbers, .*columns \[0, 1, 2\]"),
            ({"first": 1}, {}, r"columns \[1, 2\]"),
            ({"name": "probs"}, {}, r"head\.onnx has no output 'probs': its outputs are out"),
            ({}, {"name": "x"}, r"has no input 'x': its inputs are input"),
            ({}, {"size": 48}, r"shape \['n', 3, 32, 32\], .*says \[1, 3, 48, 48\] \(nchw, rgb, size 48\)"),
            ({}, {"layout": "nhwc"}, r"says \[1, 32, 32, 3\] \(nhwc"),
            ({}, {"colour": "grey"}, "mend size, layout or colour"),
            ({"activation": "none"}, {}, r"of a blank picture, .*sum to 5\.00: no probabilities \(activation: softmax"),
        ],
    )
    def test_what_the_file_says_otherwise(self, tmp_path, changes, takes, said):
        head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[3.0, 2.0])
        with pytest.raises(ModelError, match=said):
            heads_of(tmp_path, described(emotions(**changes), **takes))

    def test_an_output_must_be_named_where_there_are_two(self, tmp_path):
        head(tmp_path / "head.onnx", {"a": [[0, 0]] * 3, "b": [[0, 0]] * 3})
        with pytest.raises(ModelError, match=r"has 2 outputs, and the description does not say which: .* a, b"):
            heads_of(tmp_path, described(emotions()))
        assert heads_of(tmp_path, described(emotions(name="b"))).tells_emotions

    def test_numbers_that_are_none(self, tmp_path):
        head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, bias=[np.nan, 0.0])
        with pytest.raises(ModelError, match="not finite"):
            heads_of(tmp_path, described(emotions()))

    def test_another_type(self, tmp_path):
        head(tmp_path / "head.onnx", {"out": [[0, 0], [0, 0], [0, 0]]}, takes=TensorProto.INT64)
        with pytest.raises(ModelError, match=r"is tensor\(int64\), not one of tensor\(float\)"):
            heads_of(tmp_path, described(emotions()))

    def test_no_network(self, tmp_path):
        with pytest.raises(ModelError, match=r"head\.onnx does not load"):
            heads_of(tmp_path, described(emotions()))

    def test_a_network_of_another_rank(self, tmp_path):
        weights = models.MANIFEST.parent / "weights" / "speech_emotion.onnx"
        with pytest.raises(ModelError, match="its input features has the shape"):
            heads_of(tmp_path, described(emotions(), file=str(weights)))


def test_numbers_that_are_none_on_one_picture_are_that_pictures_error(tmp_path):
    """A network may give probabilities of a blank picture and none of a face."""
    head(tmp_path / "head.onnx", {"out": [[1.0, 0.0]] * 3}, bias=[1.0, 0.0])
    made = heads_of(tmp_path, described(emotions(activation="none")))
    with pytest.raises(FloatingPointError, match="no probabilities"):
        read(made, plain(), WHOLE)


def test_a_chain_of_a_detector_alone_says_nothing(tmp_path):
    path = tmp_path / "chain.yaml"
    path.write_text("{name: d, version: '1', licence: MIT, detector: {file: d.onnx}}", encoding="utf-8")
    made = ChainHeads(face_chain.load(path), OnnxNetwork)
    made.warm_up()
    assert not made.tells_emotions
    assert read(made, plain(), WHOLE) == SAYS_NOTHING


def test_prepared_pictures_are_contiguous_and_as_described():
    picture = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    given = prepare(picture, Input(size=16, scale=2.0, mean=(1.0, 2.0, 3.0), std=(0.5, 0.5, 0.5)))
    assert given.shape == (1, 3, 16, 16)
    assert given.flags.c_contiguous
    assert given[0, 0, 3, 5] == pytest.approx((float(picture[3, 5, 2]) / 2.0 - 1.0) / 0.5)


def test_what_is_cut_and_what_is_told():
    turned = Roi(32.0, 32.0, 30.0, 0.5)
    upright, as_it_is = (cut(astronaut(), turned, Framing(1.0, upright=up), 24) for up in (True, False))
    assert upright.shape == as_it_is.shape == (24, 24, 3)
    assert not np.array_equal(upright, as_it_is)
    assert np.array_equal(as_it_is, cut(astronaut(), Roi(32.0, 32.0, 30.0, 0.0), Framing(1.0), 24))
    assert cut(astronaut(), turned, Framing(1.0), 24, grey=True).shape == (24, 24)
    assert cv2.absdiff(upright, cut(astronaut(), turned, Framing(1.0, rise=0.2), 24)).max() > 0
    assert SAYS_NOTHING.over_aus((0.1,) * len(AUS)) == (0.1,) * len(AUS)
