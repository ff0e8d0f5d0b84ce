import json

import numpy as np
import pytest
import yaml

from inference_workers.training import spoken
from inference_workers.training.viseme import HELD_OUT
from runtime.errors import PrerequisiteError


def write(path, names=("h", "a"), seconds=1.0):
    count = int(22_050 * seconds)
    np.savez(
        path,
        sound=(8_000 * np.sin(np.arange(count) / 20)).astype("<i2"),
        rate_hz=np.array(22_050),
        starts_s=np.arange(len(names)) * 0.2,
        names=np.array(names),
    )


def test_every_language_has_words_and_the_held_out_ones_are_there():
    words = yaml.safe_load(spoken.WORDS.read_text(encoding="utf-8"))
    assert all(len(text.split()) >= 80 for text in words.values())
    assert set(HELD_OUT) < set(words)
    assert set(spoken.SHARES) < set(words)


def test_utterances_are_read_as_they_were_spoken(monkeypatch, tmp_path):
    asked = []

    def run(_synthesiser, wanted, out):
        asked.extend(wanted)
        for number in range(0, len(wanted), 2):
            write(out / f"{number}.npz")

    monkeypatch.setattr(spoken, "_run", run)
    found = list(spoken.speak(tmp_path, 6, seed=1))
    assert len(asked) == 6
    assert len(found) == 3, "what cannot be said is left out"
    assert found[0].voice == asked[0]["voice"]
    assert len(found[0].sound) == 16_000
    assert np.abs(found[0].sound).max() == pytest.approx(spoken.PEAK)
    assert [(p.start_s, p.end_s, p.name) for p in found[0].phones] == [(0.0, 0.2, "h"), (0.2, 1.0, "a")]
    again = []
    monkeypatch.setattr(spoken, "_run", lambda _synthesiser, wanted, _out: again.extend(wanted))
    assert list(spoken.speak(tmp_path, 6, seed=1)) == []
    assert again == asked


def test_after_a_crash_the_synthesiser_goes_on_with_the_next(monkeypatch, tmp_path):
    given = []

    class Done:
        def __init__(self, returncode, stdout):
            self.returncode, self.stdout, self.stderr = returncode, stdout, "out of memory"

    def run(_command, *, input, **_options):  # noqa: A002 - subprocess's own name
        numbers = [json.loads(line)["number"] for line in input.splitlines()]
        given.append(numbers)
        return Done(-11, "0\n1\n") if numbers[0] == 0 else Done(0, "")

    monkeypatch.setattr(spoken.subprocess, "run", run)
    list(spoken.speak(tmp_path, 4, seed=0))
    assert given == [[0, 1, 2, 3], [2, 3]]
    monkeypatch.setattr(spoken.subprocess, "run", lambda *_a, **_o: Done(1, ""))
    with pytest.raises(PrerequisiteError, match="does not speak: out of memory"):
        list(spoken.speak(tmp_path, 4, seed=0))
