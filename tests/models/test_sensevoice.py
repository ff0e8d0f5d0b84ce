"""SenseVoice through FunASR's real path: loading, batches, decoding, export; torch and ONNX say the same."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from funasr.models.sense_voice.utils.ctc_alignment import ctc_forced_align
from funasr.utils.load_utils import extract_fbank

from inference_workers import sensevoice_model
from inference_workers.engines.sensevoice import SenseVoice
from inference_workers.engines.sensevoice_onnx import SenseVoiceOnnx
from inference_workers.speech.rich_tokens import BLANK, EMOTION_ROW, NAMES, QUERIES, Spoken
from runtime.errors import ModelError, SettingsError
from schemas.vocabulary import EMOTIONS
from tests.contract.test_speech_engine import (
    WINDOWS,
    test_an_engine_names_itself_and_its_batch,  # noqa: F401 - what every engine promises, of these two
    test_an_engine_remembers_nothing,  # noqa: F401
    test_one_answer_a_window_in_order_and_in_range,  # noqa: F401
)
from tests.support.voices import noise


@pytest.fixture(params=["sensevoice", "sensevoice_onnx"])
def engine(request):
    return request.getfixturevalue(request.param)


def test_the_emotions_are_the_softmax_of_their_tokens_at_the_emotion_query(sensevoice, tiny):
    tokens = json.loads((tiny / "tokens.json").read_text())
    ids = [tokens.index(f"<|{NAMES[emotion]}|>") for emotion in EMOTIONS]
    others = [tokens.index("<|EMO_UNKNOWN|>"), tokens.index("<|OTHER|>")]
    assert min(ids + others) < 100, "the tiny model's ids are its own"
    rows = sensevoice.logits(WINDOWS)[:, EMOTION_ROW].double()
    wanted = torch.softmax(rows[:, ids + others], dim=1).numpy()
    for answer, probabilities in zip(sensevoice.infer(WINDOWS), wanted, strict=True):
        np.testing.assert_allclose(answer.scores, probabilities[:7], atol=1e-6)
        assert answer.unknown == pytest.approx(probabilities[7:].sum(), abs=1e-6)
        assert answer.unknown > 0.0


def test_a_batch_says_what_each_window_says_alone(engine):
    together = engine.read(WINDOWS * 8)
    for place, window in enumerate(WINDOWS):
        (alone,) = engine.read([window])
        for copy in range(8):
            found = together[copy * len(WINDOWS) + place]
            np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
            assert (found.language, found.event, found.tokens) == (alone.language, alone.event, alone.tokens)


def test_sounds_are_told_apart(engine):
    # Random weights know no emotion, but they must hear the difference: a constant answer would pass the rest.
    scores = np.array([answer.scores for answer in engine.infer(WINDOWS)])
    assert np.abs(scores[0] - scores[2]).max() > 0.05
    assert np.abs(scores[1] - scores[3]).max() > 0.05


def test_funasr_itself_sees_the_same_logits_and_decodes_the_same_tokens(sensevoice):
    seen = []
    hook = sensevoice._model.ctc.ctc_lo.register_forward_hook(lambda _module, _given, made: seen.append(made.detach()))
    try:
        said = sensevoice._auto.generate(
            input=list(WINDOWS), language="auto", use_itn=False, batch_size=len(WINDOWS), disable_pbar=True
        )
    finally:
        hook.remove()
    (theirs,) = seen
    ours = sensevoice.logits(WINDOWS)
    assert theirs.shape == ours.shape
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
    tokenizer = sensevoice._auto.kwargs["tokenizer"]
    for answer, rows in zip(said, ours, strict=True):
        path = torch.unique_consecutive(rows.argmax(-1))
        assert answer["text"] == tokenizer.decode(path[path != BLANK].tolist())


def test_token_times_are_those_of_funasrs_forced_alignment(sensevoice):
    logits = sensevoice.logits(WINDOWS)
    for rows, reading in zip(logits, sensevoice.read(WINDOWS), strict=True):
        probabilities = torch.log_softmax(rows[QUERIES:], -1)
        path = torch.unique_consecutive(probabilities.argmax(-1))
        tokens = path[path != BLANK]
        assert len(tokens) == len(reading.tokens)
        aligned = ctc_forced_align(
            probabilities[None].float(),
            tokens[None],
            torch.tensor([len(probabilities)]),
            torch.tensor([len(tokens)]),
            ignore_id=-1,
        )[0].tolist()
        starts = [n for n, token in enumerate(aligned) if token != BLANK and (n == 0 or aligned[n - 1] != token)]
        assert [span.start_ms for span in reading.tokens] == [max(60 * n - 30, 0) for n in starts]
        assert all(isinstance(span, Spoken) and span.start_ms < span.end_ms <= 1_000 for span in reading.tokens)


def test_features_without_torch_are_funasrs(sensevoice, sensevoice_onnx):
    theirs, _ = extract_fbank(
        [torch.from_numpy(window) for window in WINDOWS], data_type="sound", frontend=sensevoice._frontend
    )
    ours = np.stack([sensevoice_onnx._features(window) for window in WINDOWS])
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-3)
    assert ours.shape == (len(WINDOWS), 17, 560)


def test_onnx_and_torch_agree(sensevoice, sensevoice_onnx):
    windows = [*WINDOWS, noise(1.0, 300, 3_000, 0.3, seed=3)]
    np.testing.assert_allclose(sensevoice_onnx.logits(windows), sensevoice.logits(windows).numpy(), atol=2e-3)
    for one, other in zip(sensevoice.read(windows), sensevoice_onnx.read(windows), strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
        assert one.speech == pytest.approx(other.speech, abs=1e-3)
        assert (one.language, one.event) == (other.language, other.event)


def test_the_language_told_reaches_the_model(tiny, exported, engine):
    spoken = type(engine)(exported, language="ja")
    assert any(
        np.abs(np.subtract(a.scores, b.scores)).max() > 1e-3
        for a, b in zip(spoken.infer(WINDOWS), engine.infer(WINDOWS), strict=True)
    )
    with pytest.raises(SettingsError, match="knows no language 'de': auto, zh"):
        type(engine)(exported, language="de")


def test_a_device_that_is_not_there_is_said(exported, engine, caplog):
    with caplog.at_level(logging.WARNING):
        made = type(engine)(exported, device="cuda")
    assert "SenseVoice runs on the CPU" in caplog.text
    np.testing.assert_allclose(made.infer(WINDOWS)[0].scores, engine.infer(WINDOWS)[0].scores, atol=1e-5)


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def test_weights_of_another_model_are_refused(copy):
    # FunASR goes on with random ones, and says so on no log.
    state = torch.load(copy / "model.pt", weights_only=True)
    state["ctc.ctc_lo.bias"] = state["ctc.ctc_lo.bias"][:-1]
    torch.save(state, copy / "model.pt")
    with pytest.raises(ModelError, match=r"1 of \d+ weights are missing or of another shape: ctc.ctc_lo.bias"):
        SenseVoice(copy)


def test_another_list_of_tokens_is_refused(copy, engine):
    tokens = json.loads((copy / "tokens.json").read_text())
    (copy / "tokens.json").write_text(json.dumps([*tokens, "more"]))
    with pytest.raises(ModelError, match=f"lists {len(tokens) + 1} tokens"):
        type(engine)(copy)
    (copy / "tokens.json").write_text(json.dumps([token for token in tokens if "ANGRY" not in token]))
    with pytest.raises(ModelError, match=r"lack <\|ANGRY\|>"):
        type(engine)(copy)


def test_what_is_no_model_is_refused(copy):
    (copy / "model.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="FunASR does not load"):
        SenseVoice(copy)
    (copy / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="does not load"):
        SenseVoiceOnnx(copy)
    shutil.copyfile(copy.parents[0] / "copy" / "bpe.model", copy / "am.mvn")
    with pytest.raises(ModelError, match="does not hold the features' statistics"):
        SenseVoiceOnnx(copy)


def test_the_layout_is_checked_before_anything_is_loaded(copy):
    sensevoice_model.check(copy, "torch")
    sensevoice_model.check(copy, "onnx")
