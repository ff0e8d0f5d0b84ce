import numpy as np
import pytest

from dataflows import mapping
from dataflows.layout import (
    BLEND,
    C_BONES,
    C_GLOW,
    C_SLOUCH,
    CHANNELS,
    DIRECT_AU,
    EMOTION_STYLE,
    F_BLENDSHAPES,
    F_BLINK,
    F_GAZE,
    F_PITCH,
    F_WIDTH,
    F_YAW,
)  # fmt: skip
from schemas.fusion_config import PARAMETERS
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

CONFIG = np.array([p.default for p in PARAMETERS.values()])


def shapes(
    strategy: int = DIRECT_AU, *, face: dict[int, float] | None = None, mouth: float = 0.0, viseme: str = "sil",
    emotion: str = "neutral", arousal: float = 0.0, presence: float = 1.0, **aus: float,
) -> dict[str, float]:  # fmt: skip
    columns = np.zeros(F_WIDTH)
    for column, value in (face or {}).items():
        columns[column] = value
    out = np.zeros(len(BLENDSHAPES))
    mapping.shape_targets(
        strategy, np.array([aus.get(name, 0.0) for name in AUS]), columns, presence,
        np.array([float(name == emotion) for name in EMOTIONS]), arousal,
        np.array([float(name == viseme) for name in VISEMES]), mouth, CONFIG, out,
    )  # fmt: skip
    return dict(zip(BLENDSHAPES, out.tolist(), strict=True))


def posture(strategy: int, *, pitch: float = 0.0, yaw: float = 0.0, emotion: str = "neutral", arousal: float = 0.0):
    columns, out = np.zeros(F_WIDTH), np.zeros(CHANNELS)
    columns[F_PITCH], columns[F_YAW] = pitch, yaw
    emotions = np.array([float(name == emotion) for name in EMOTIONS])
    mapping.posture_targets(strategy, columns, 1.0, emotions, arousal, CONFIG, out)
    return out


@pytest.mark.parametrize("au12, smile", [(0.0, 0.0), (0.5, 0.55), (1.0, 1.0)])
def test_au12_is_the_smile_by_the_brief(au12: float, smile: float) -> None:
    found = shapes(AU12=au12)
    assert found["mouthSmileLeft"] == found["mouthSmileRight"] == pytest.approx(smile)


def test_au06_is_the_cheek_raise_damped() -> None:
    assert shapes(AU06=0.5)["cheekSquintLeft"] == pytest.approx(0.45)


def test_au04_is_the_frown_by_a_sigmoid() -> None:
    frown = [shapes(AU04=au)["browDownLeft"] for au in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert frown[0] == 0.0
    assert frown[2] == pytest.approx(0.5, abs=0.02)
    assert frown[4] == pytest.approx(1.0)
    assert frown[2] - frown[1] > frown[1] - frown[0]  # smooth onset


def test_the_measured_shapes_say_which_side() -> None:
    left = {F_BLENDSHAPES + BLENDSHAPES.index("mouthSmileLeft"): 0.8}
    found = shapes(AU12=0.4, face=left)
    assert found["mouthSmileLeft"] > 0.7
    assert found["mouthSmileRight"] < 0.1


def test_blinks_and_gaze_move_the_lids_and_eyes() -> None:
    found = shapes(face={F_BLINK: 1.0, F_GAZE: 0.5, F_GAZE + 1: -0.25})
    assert (found["eyeBlinkLeft"], found["eyeBlinkRight"]) == (1.0, 0.0)
    assert (found["eyeLookOutLeft"], found["eyeLookInRight"], found["eyeLookInLeft"]) == (0.5, 0.5, 0.0)
    assert (found["eyeLookUpLeft"], found["eyeLookDownLeft"]) == (0.25, 0.0)


def test_every_au_moves_something_and_stays_within_range() -> None:
    for name in AUS:
        if name != "AU45":  # the blink is measured for each eye
            assert 0.0 < max(shapes(**{name: 1.0}).values()) <= 1.0, name


def test_happy_by_style_is_a_smile_and_a_cheek_raise() -> None:
    found = shapes(EMOTION_STYLE, emotion="happy")
    assert found["mouthSmileLeft"] == pytest.approx(0.8)
    assert found["cheekSquintLeft"] == pytest.approx(0.4)
    assert shapes(BLEND, emotion="happy")["mouthSmileLeft"] == pytest.approx(0.4)
    assert shapes(DIRECT_AU, emotion="happy")["mouthSmileLeft"] == 0.0


def test_style_takes_expressions_from_emotions_and_blinks_from_the_face() -> None:
    found = shapes(EMOTION_STYLE, AU12=1.0, AU26=0.6, face={F_BLINK: 1.0})
    assert found["mouthSmileLeft"] == 0.0
    assert found["eyeBlinkLeft"] == 1.0
    assert found["jawOpen"] == pytest.approx(0.6)


def test_arousal_widens_the_eyes() -> None:
    assert shapes(EMOTION_STYLE, arousal=1.0)["eyeWideLeft"] == pytest.approx(0.3)
    assert shapes(EMOTION_STYLE, arousal=-1.0)["eyeWideLeft"] == 0.0


def test_speech_takes_the_mouth_from_the_aus() -> None:
    found = shapes(AU12=1.0, AU26=1.0, AU01=1.0, mouth=1.0, viseme="PP")
    assert found["mouthSmileLeft"] == found["jawOpen"] == 0.0
    assert found["mouthPressLeft"] == pytest.approx(0.5)
    assert found["browInnerUp"] == 1.0
    half = shapes(AU12=1.0, mouth=0.5, viseme="aa")
    assert half["mouthSmileLeft"] == pytest.approx(0.5)
    assert half["jawOpen"] == pytest.approx(0.35)


def test_an_emotion_is_still_shown_while_speaking() -> None:
    assert shapes(EMOTION_STYLE, emotion="happy", mouth=1.0)["mouthSmileLeft"] == pytest.approx(0.8)


def test_sadness_lowers_head_and_shoulders() -> None:
    sad, calm = posture(EMOTION_STYLE, emotion="sad"), posture(EMOTION_STYLE)
    assert sad[C_BONES + 1] - calm[C_BONES + 1] == pytest.approx(3.0)
    assert sad[C_SLOUCH] == pytest.approx(0.3)
    assert posture(BLEND, emotion="sad")[C_SLOUCH] == pytest.approx(0.15)


def test_happiness_glows_and_arousal_leans() -> None:
    assert posture(EMOTION_STYLE, emotion="happy")[C_GLOW] == pytest.approx(0.2)
    assert posture(EMOTION_STYLE, arousal=1.0)[C_BONES + 4] == pytest.approx(5.0)
    assert posture(DIRECT_AU, emotion="happy", arousal=1.0)[C_GLOW] == 0.0


def test_head_and_neck_add_up_to_the_exaggerated_pose() -> None:
    out = posture(DIRECT_AU, pitch=10.0, yaw=20.0)
    assert out[C_BONES] == pytest.approx(22.0)
    assert out[C_BONES + 1] + out[C_BONES + 3] == pytest.approx(11.0)


def test_the_tables_name_what_exists() -> None:
    assert set(mapping.PAIRS) | {au for au, _, _ in mapping.SINGLES} | {"AU45"} == set(AUS)
    assert set(mapping.MOUTH_BY_VISEME) == set(VISEMES)
