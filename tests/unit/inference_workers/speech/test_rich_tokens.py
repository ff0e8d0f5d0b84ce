import numpy as np
import pytest

from inference_workers.speech.rich_tokens import EVENTS, LANGUAGES, NAMES, Reading, Spoken, Vocabulary, alignment, felt
from runtime.errors import ModelError
from schemas.vocabulary import EMOTIONS

TOKENS = ["<unk>", "a", "<|OTHER|>", *(f"<|{name}|>" for name in (*EVENTS, *LANGUAGES, *NAMES.values(), "EMO_UNKNOWN"))]


def test_ids_are_read_from_the_models_own_list():
    words = Vocabulary.of(TOKENS, "here")
    assert [TOKENS[n] for n in words.emotions] == [
        "<|NEUTRAL|>", "<|HAPPY|>", "<|SAD|>", "<|ANGRY|>", "<|SURPRISED|>", "<|FEARFUL|>", "<|DISGUSTED|>",
        "<|EMO_UNKNOWN|>", "<|OTHER|>",
    ]  # fmt: skip
    assert [TOKENS[n] for n in words.languages] == [f"<|{name}|>" for name in LANGUAGES]
    turned = Vocabulary.of(TOKENS[::-1], "here")
    assert [TOKENS[::-1][n] for n in turned.emotions] == [TOKENS[n] for n in words.emotions]


@pytest.mark.parametrize("missing", ["<|ANGRY|>", "<|EMO_UNKNOWN|>", "<|nospeech|>"])
def test_a_list_that_lacks_a_token_is_refused_by_name(missing):
    with pytest.raises(ModelError, match=missing.replace("|", r"\|")):
        Vocabulary.of([token for token in TOKENS if token != missing], "here")


def test_a_list_without_audio_events_is_refused():
    with pytest.raises(ModelError, match="audio events"):
        Vocabulary.of([token for token in TOKENS if token.strip("<|>") not in EVENTS], "here")


def reading(emotions, *, nospeech=-20.0, path=()):
    words = Vocabulary.of(TOKENS, "here")
    languages = np.array([0.0, 5.0, 0.0, 0.0, 0.0, nospeech], np.float32)
    events = np.eye(len(EVENTS), dtype=np.float32)[2]
    return words.reading(languages, np.asarray(emotions, np.float32), events, np.asarray(path, np.int64))


def test_the_whole_distribution_is_kept_and_the_unknown_with_it():
    found = reading([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0])
    total = 6 + np.e + np.e**2 + np.e
    assert found.scores == pytest.approx([1 / total, np.e / total, *[1 / total] * 5])
    assert found.unknown == pytest.approx((np.e**2 + np.e) / total)
    assert sum(found.scores) + found.unknown == pytest.approx(1.0, abs=1e-12)
    assert (found.language, found.event) == ("en", "Laughter")


def test_logits_of_any_size_make_probabilities():
    found = reading([1e4, -1e4, 0, 0, 0, 0, 0, 0, 0])
    assert found.scores[EMOTIONS.index("neutral")] == 1.0


def test_where_nobody_speaks_confidence_is_gone():
    sure = [0.0, 9.0, 0, 0, 0, 0, 0, 0, 0]
    assert felt(reading(sure)).confidence > 0.95
    silent = felt(reading(sure, nospeech=20.0))
    assert silent.confidence < 0.01
    assert silent.scores == felt(reading(sure)).scores


def test_what_is_felt_is_the_mean_of_the_words():
    happy = felt(Reading((0.0, 1.0, 0, 0, 0, 0, 0), 0.0, 1.0, "en", "Speech", ()))
    assert (happy.valence, happy.arousal, happy.dominance) == (0.81, 0.51, 0.46)


def test_tokens_are_runs_of_the_path_without_blanks():
    path = [0, 0, 7, 7, 0, 7, 8, 8]
    assert alignment(np.array(path)) == (Spoken(90, 210), Spoken(270, 330), Spoken(330, 450))
    assert alignment(np.array([7, 0])) == (Spoken(0, 30),)
    assert alignment(np.array([], np.int64)) == ()
