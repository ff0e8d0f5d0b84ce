import pytest

from ingest.clockmap import LiveTimeline, RecordedTimeline
from ingest.sessions import END_GRACE_US, IDLE_US, SessionOver, Sessions
from runtime.tokens import Grant
from schemas.vocabulary import Modality

NOW = 1_800_000_000_000_000


def grant(session_id="s", *scopes, timeline="live"):
    held = frozenset(scopes or ("audio", "video", "watch", "manage"))
    return Grant(session_id, "default", held, NOW // 1_000_000 + 3_600, timeline, NOW)


def test_a_token_is_enough_to_take_a_session_up():
    sessions = Sessions()
    session = sessions.take_up(grant(), NOW)
    assert sessions.take_up(grant(), NOW + 1) is session
    assert isinstance(session.timeline, LiveTimeline)
    recorded = sessions.take_up(grant("r", timeline="recorded"), NOW)
    assert isinstance(recorded.timeline, RecordedTimeline)
    assert recorded.timeline.place(Modality.FACE, 7, NOW + 99) == NOW + 7
    assert len(sessions) == 2


def test_an_old_token_does_not_bring_consent_back():
    sessions = Sessions()
    sessions.take_up(grant(), NOW)
    session = sessions.take_up(grant("s", "audio", "manage"), NOW)
    assert (session.consent.audio, session.consent.video) == (True, False)
    assert not sessions.take_up(grant(), NOW).consent.video


def test_sequences_rise_by_modality():
    session = Sessions().take_up(grant(), NOW)
    assert session.in_order(Modality.FACE, 0)
    assert session.in_order(Modality.SPEECH, 0)
    assert not session.in_order(Modality.FACE, 0)
    assert session.in_order(Modality.FACE, 5)
    assert not session.in_order(Modality.FACE, 4)


def test_a_session_ends_once_and_stays_ended():
    sessions = Sessions()
    session = sessions.take_up(grant(), NOW)
    session.media_end_us = NOW + 5_000_000
    assert sessions.end("s", "deleted", NOW + 6_000_000)
    assert not sessions.end("s", "idle", NOW + 7_000_000)
    with pytest.raises(SessionOver, match="deleted"):
        sessions.take_up(grant(), NOW + 7_000_000)
    assert sessions.endings_due(NOW + 6_000_000) == []
    (ending,) = sessions.endings_due(NOW + 6_000_000 + END_GRACE_US)
    assert (ending.session_id, ending.captured_at_us, ending.reason) == ("s", NOW + 5_000_000, "deleted")
    assert sessions.endings_due(None) == []


def test_a_session_that_is_not_held_here_ends_too():
    sessions = Sessions()
    assert sessions.end("elsewhere", "deleted", NOW)
    assert sessions.endings_due(None)[0].captured_at_us == NOW


def test_unattended_and_expired_sessions_are_overdue():
    sessions = Sessions()
    session = sessions.take_up(grant(), NOW)
    assert sessions.overdue(NOW + IDLE_US - 1) == []
    assert sessions.overdue(NOW + IDLE_US) == [("s", "idle")]
    sessions.connected(session)
    assert sessions.overdue(NOW + IDLE_US) == []
    sessions.disconnected(session, NOW + IDLE_US)
    assert sessions.overdue(NOW + 2 * IDLE_US - 1) == []
    assert sessions.overdue(NOW + 3_600_000_000) == [("s", "expired")]


def test_tombstones_are_bounded(monkeypatch):
    monkeypatch.setattr("ingest.sessions.MAX_TOMBSTONES", 2)
    sessions = Sessions()
    for name in "abc":
        sessions.end(name, "deleted", NOW)
    assert [sessions.end_reason(name) for name in "abc"] == [None, "deleted", "deleted"]


def test_a_reset_holds_from_the_edges_clock_or_the_end_of_the_recording_taken():
    sessions = Sessions()
    assert sessions.reset_us(grant(), NOW + 5) == NOW + 5
    assert len(sessions) == 0  # another edge may hold it: taking it up here would end it there
    recorded = grant("r", timeline="recorded")
    assert sessions.reset_us(recorded, NOW + 5) == NOW
    sessions.take_up(recorded, NOW).media_end_us = NOW + 70_000
    assert sessions.reset_us(recorded, NOW + 5) == NOW + 70_000


def test_resets_are_few_and_not_of_what_is_over():
    sessions = Sessions()
    asked = [sessions.reset_us(grant(), NOW) for _ in range(7)]
    assert asked == [NOW] * 5 + [None] * 2
    assert sessions.reset_us(grant("t"), NOW) == NOW
    assert sessions.reset_us(grant(), NOW + 1_000_000) == NOW + 1_000_000
    sessions.end("s", "deleted", NOW)
    with pytest.raises(SessionOver, match="deleted"):
        sessions.reset_us(grant(), NOW)


def test_a_session_that_is_released_is_not_ended():
    sessions = Sessions()
    session = sessions.take_up(grant(), NOW)
    sessions.release(session.session_id)
    sessions.release("never held")
    assert len(sessions) == 0
    assert sessions.endings_due(None) == []
    assert sessions.end_reason(session.session_id) is None
    assert sessions.take_up(grant(), NOW) is not session


def test_a_session_goes_on_where_another_edge_was():
    session = Sessions().take_up(grant(), NOW)
    session.in_order(Modality.FACE, 9)
    session.go_on({"speech": 41, "face": 7})
    assert session.last_sequence == {Modality.FACE: 9, Modality.SPEECH: 41}
    assert session.acknowledged == {Modality.SPEECH: 41}
    assert not session.in_order(Modality.SPEECH, 41)
    assert session.in_order(Modality.SPEECH, 42)


def test_those_that_send_are_told_from_those_that_were_lately_started():
    sessions = Sessions()
    one = sessions.take_up(grant("one"), NOW)
    sessions.take_up(grant("two"), NOW)
    started_us = one.grant.started_at_us
    assert sessions.sending(started_us) == (0, 2)
    one.in_order(Modality.FACE, 0)
    assert sessions.sending(started_us) == (1, 1)
    assert sessions.sending(started_us + 1) == (1, 0)
