import numpy as np
import pytest

from analytics.report import broken, clock, page, seconds, sections

NOTHING = {"p50": None, "p95": None}
HOPS = ("age", "transport", "ingest", "queue", "inference", "fusion", "total")


@pytest.fixture
def summary():
    return {
        "session": {
            "session_id": "<s&1>", "started_at_ms": 1_800_000_000_000, "ended_at_ms": None, "tenant": "default",
            "timeline": "live", "audio_consented": True, "video_consented": False, "store_raw_consented": False,
            "mapping": "blend", "smoothing": "spring", "config_version": "1", "experiment": "", "variant": "",
            "end_reason": "",
        },
        "frames": {
            "count": 0, "records": 0, "repeated": 0, "missing": 0, "skipped": 0, "discontinuities": 0,
            "first_at_ms": 0, "last_at_ms": 0, "face_live_share": None, "speech_live_share": None,
        },
        "emotions": {
            "mean": {"happy": None}, "top": None, "valence": None, "arousal": None, "speaking_share": None,
        },
        "signals": {"face": {"records": 0, "distinct": 0}, "speech": {"records": 0, "distinct": 0}},
        "latency_ms": {"face": dict.fromkeys(HOPS, NOTHING), "speech": dict.fromkeys(HOPS, NOTHING), "client": {}},
        "outcomes": {"ingest": {"face": {"used": 3, "no_consent": 2}}},
        "events": {"by_kind": {}, "mean_rating": None},
    }  # fmt: skip


def test_a_session_without_frames_has_a_summary_too(summary):
    named = dict(sections(summary))
    assert ("consent", "audio") in named["Session"]
    assert ("ended", "not yet") in named["Session"]
    assert ("speaking", "-") in named["Emotion"]
    assert named["What became of every item"] == [("ingest: face", "used 3, no_consent 2")]
    assert "Clients" not in named


def test_the_page_escapes_what_it_shows_and_needs_no_network(summary):
    text = page(summary, b"png")
    assert "<s&1>" not in text
    assert "&lt;s&amp;1&gt;" in text
    assert "http" not in text


@pytest.mark.parametrize(
    "value,text", [(0, "0:00"), (5, "0:05"), (7.5, "0:07.5"), (59.99, "1:00"), (61, "1:01"), (600, "10:00")]
)
def test_clock(value, text):
    assert clock(value) == text


def test_lines_break_where_buckets_are_missing():
    at = seconds([1000, 1100, 1200, 1900, 2000])
    assert at.tolist() == pytest.approx([0, 0.1, 0.2, 0.9, 1.0])
    assert broken(at, 0.1).tolist() == [3]
    assert seconds([]).size == 0
    assert isinstance(broken(at, 0.1), np.ndarray)
