import shutil
import sys

import pytest

from benchmarks.face_emotion import peers
from schemas.vocabulary import EMOTIONS

ANSWERS = '{"scores": {"Happiness": 0.6, "contempt": 0.4}, "ms": 2.0}'


@pytest.fixture
def others(tmp_path, monkeypatch):
    """Two peers whose environments are made already, with this Python: one answers, one fails."""
    scripts = {
        "good": f"import sys\nfor line in sys.stdin:\n    print('…', file=sys.stderr)\n    print('{ANSWERS}')\n",
        "bad": "raise OSError('weights cannot be fetched')\n",
    }
    for name, script in scripts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__main__.py").write_text(script, encoding="utf-8")
        (tmp_path / name / "requirements.txt").write_text("nothing\n", encoding="utf-8")
        home = tmp_path / "cache" / "peers" / f"face-{name}"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "python").symlink_to(sys.executable)
        shutil.copy(tmp_path / name / "requirements.txt", home)
    monkeypatch.setattr(peers, "HERE", tmp_path)
    monkeypatch.setattr(peers, "PEERS", {"good": "Good", "bad": "Bad"})
    return tmp_path / "cache"


def test_a_peer_is_scored_or_its_reason_is_told(others, tmp_path):
    happy, sad = EMOTIONS.index("happy"), EMOTIONS.index("sad")
    crops = [(tmp_path / "a.jpg", happy), (tmp_path / "b.jpg", sad)]
    found = peers.ask(others, crops, lambda _line: None)
    assert (found["Good"]["n"], found["Good"]["accuracy"], found["Good"]["ms"]) == (2, 0.5, 2.0)
    assert found["Bad"] == "OSError: weights cannot be fetched"


def test_scores_of_what_is_no_emotion_of_ours_are_left_out():
    scores = peers._ours({"anger": 1.0, "contempt": 3.0, "neutral": 1.0})
    assert scores[EMOTIONS.index("angry")] == scores[EMOTIONS.index("neutral")] == 0.5
    assert peers._ours({"contempt": 1.0}) == pytest.approx([1 / 7] * 7)
