import json

import pytest

from analytics.recordings.container import Header, RecordedSession, RecordingError, Summary

SESSION = RecordedSession("s1", 1, "live", {"mapping": "blend"}, {"audio": True}, ended=True, end_reason="idle")
HEADER = Header("0.1.0", 2, (SESSION,), ["landmarker@1"], media=True)


def test_a_header_comes_back():
    found = Header.from_json(HEADER.to_json())
    assert found.sessions == (SESSION,)
    assert (found.product, found.engines, found.media) == ("0.1.0", ["landmarker@1"], True)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"sessions": None},
        {"sessions": [{"session_id": "s1"}]},
        {"engines": [1]},
        {"surprise": 1},
        {"sessions": [{**json.loads(HEADER.to_json())["sessions"][0], "session_id": 5}]},
    ],
)
def test_a_header_that_says_something_else_is_refused(change):
    with pytest.raises(RecordingError, match="recording"):
        Header.from_json(json.dumps({**json.loads(HEADER.to_json()), **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"format": 1}', b'"x"'])
def test_what_is_no_header_is_refused(data):
    with pytest.raises(RecordingError, match="header"):
        Header.from_json(data)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"entries": 1}', b'{"entries": "x", "counts": {}, "sha256": ""}'])
def test_what_is_no_summary_is_refused(data):
    with pytest.raises(RecordingError, match="last entry"):
        Summary.from_json(data)
