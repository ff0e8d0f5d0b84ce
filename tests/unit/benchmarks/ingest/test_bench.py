from collections import Counter

from benchmarks.ingest.bench import _wrong
from schemas.vocabulary import Modality, Outcome

SESSION = "s"
FACE, SPEECH = (SESSION, Modality.FACE.value), (SESSION, Modality.SPEECH.value)


def entry(video, audio, lost=None):
    return {"session_id": SESSION, "video": video, "audio": audio, "lost": lost or {}}


def told(face, speech):
    return {FACE: Counter(face), SPEECH: Counter(speech)}


def wrong(sent, receivers, ledger, recorded, packets=None):
    return _wrong(sent, receivers, ledger, recorded, packets or recorded)


def test_counts_that_add_up():
    ledger = told({Outcome.USED: 9, Outcome.GAP: 1}, {Outcome.USED: 5})
    assert wrong([entry(10, 5)], "own", ledger, {FACE: 9, SPEECH: 5}) == []


def test_a_frame_that_nobody_knows_of_is_told():
    ledger = told({Outcome.USED: 9}, {Outcome.USED: 5})
    assert wrong([entry(10, 5)], "own", ledger, {FACE: 9, SPEECH: 5}) != []
    assert wrong([entry(10, 5, {"video": 1})], "own", ledger, {FACE: 9, SPEECH: 5}) == []
    # aiortc's own buffer keeps the last picture and some sound
    assert wrong([entry(10, 9)], "stock", ledger, {FACE: 9, SPEECH: 5}) == []


def test_more_than_was_sent_is_told():
    ledger = told({Outcome.USED: 11}, {Outcome.USED: 5})
    assert wrong([entry(10, 5)], "own", ledger, {FACE: 11, SPEECH: 5}) != []


def test_records_that_the_ledger_does_not_know_are_told():
    ledger = told({Outcome.USED: 10}, {Outcome.USED: 5})
    assert wrong([entry(10, 5)], "own", ledger, {FACE: 9, SPEECH: 5}) != []


def test_a_record_of_sound_may_hold_two_packets():
    ledger = told({Outcome.USED: 10}, {Outcome.USED: 5, Outcome.GAP: 1})
    recorded, packets = {FACE: 10, SPEECH: 5}, {FACE: 10, SPEECH: 9}
    assert wrong([entry(10, 10)], "own", ledger, recorded, packets) == []
    assert wrong([entry(10, 11)], "own", ledger, recorded, packets) != []
