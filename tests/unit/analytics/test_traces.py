"""A frame's way as spans: the sums, the sampling, what is left out."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from analytics.traces import Shown, frame_spans, sampled, session_digest, span_id, trace_id
from schemas.records import AvatarFrame
from tests.support.frames import avatar_frame

NAN = math.nan
TICK = 1_700_000_000_000_000


def frame(face=(-20.0, -15.0, -13.5, -11.0, 1.2), speech=(NAN,) * 5) -> AvatarFrame:
    return replace(avatar_frame("abc-123", 30), captured_at_us=TICK, face_hops_ms=face, speech_hops_ms=speech)


def by_name(spans):
    return {span.name: span for span in spans}


def test_the_spans_account_for_the_whole_from_capture_to_glass():
    spans = frame_spans(frame(), TICK + 8_000, Shown(TICK + 9_500, TICK + 25_000))
    root = spans[0]
    assert (root.name, root.parent, root.start_us, root.end_us) == ("frame", None, TICK - 20_000, TICK + 25_000)
    way = ["face.transport", "face.ingest", "face.queue", "face.inference", "fusion", "relay", "glass"]
    chain = [by_name(spans)[name] for name in way]
    assert all(earlier.end_us == later.start_us for earlier, later in pairwise(chain))
    assert sum(span.end_us - span.start_us for span in chain) == root.end_us - root.start_us
    assert [span.service for span in chain] == [
        "client", "ingest", "face-worker", "face-worker", "fusion", "egress", "client",
    ]  # fmt: skip


def test_every_parent_comes_before_its_children():
    spans = frame_spans(frame(speech=(-40.0, -12.0, -11.0, -9.0, 3.0)), TICK + 8_000, Shown(TICK + 9_500, None))
    seen: set[str | None] = {None}
    for span in spans:
        assert span.parent in seen
        seen.add(span.name)
    assert by_name(spans)["fusion"].start_us == TICK + 3_000, "fusion begins when the later modality is there"
    assert spans[0].start_us == TICK - 40_000
    assert "glass" not in seen


def test_a_stamp_before_the_one_before_it_makes_no_negative_span():
    spans = frame_spans(frame(face=(-5.0, -6.1, -4.0, -3.0, 8.7)), TICK + 8_000, Shown(TICK + 7_900, TICK + 7_000))
    assert all(span.end_us >= span.start_us for span in spans)
    assert spans[0].end_us == TICK + 8_700


def test_a_frame_without_samples_has_fusion_alone():
    spans = frame_spans(frame(face=(NAN,) * 5), TICK + 8_000)
    assert [span.name for span in spans] == ["frame", "fusion"]
    assert spans[0].end_us - spans[0].start_us == 8_000


@pytest.mark.parametrize("fused_after_s", [61, 86_400])
def test_a_recording_fused_much_later_is_no_trace(fused_after_s):
    assert frame_spans(frame(), TICK + fused_after_s * 1_000_000) == []


def test_no_session_id_leaves_the_house():
    spans = frame_spans(frame(), TICK + 8_000)
    assert "abc-123" not in repr(spans)
    assert spans[0].attributes["affectstream.session_digest"] == session_digest("abc-123")


def test_sampling_is_by_the_session_and_keeps_its_share():
    names = [f"session-{i}" for i in range(20_000)]
    chosen = {name for name in names if sampled(name, 0.05)}
    assert 0.045 < len(chosen) / len(names) < 0.055
    assert chosen <= {name for name in names if sampled(name, 0.2)}, "a larger share keeps those of the smaller"
    assert not any(sampled(name, 0.0) for name in names)
    assert all(sampled(name, 1.0) for name in names)


def test_ids_are_those_of_the_frame():
    assert trace_id("a", 1) == trace_id("a", 1) != trace_id("a", 2)
    assert 0 < trace_id("a", 1) < 2**128
    assert span_id("a", 1, "fusion") != span_id("a", 1, "relay")
    assert 0 < span_id("a", 1, "relay") < 2**64
