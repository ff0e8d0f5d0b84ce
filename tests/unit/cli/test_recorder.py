from dataclasses import replace

import pytest

from analytics.recordings.container import RecordingError
from cli.recorder import _described, _schemas, _Seen, _storable, record
from runtime.clock import SystemClock
from runtime.settings import Settings
from schemas.codec import fingerprint
from schemas.records import SessionStarted
from tests.support.signals import START_US, ended, started


def seen(*, store_raw=True, scopes=None):
    signal = started("s1")
    assert isinstance(signal.payload, SessionStarted)
    return _Seen(
        started=replace(signal, payload=replace(signal.payload, store_raw_consented=store_raw)),
        ended=ended("s1", START_US + 1),
        scopes=scopes,
    )


@pytest.mark.parametrize(
    "store_raw, scopes, audio, video",
    [
        (True, None, True, True),
        (False, None, False, False),
        (True, frozenset({"audio", "video"}), False, False),
        (True, frozenset({"audio", "store_raw"}), True, False),
        (False, frozenset({"audio", "video", "store_raw"}), False, False),
        (True, frozenset(), False, False),
    ],
)
def test_media_is_stored_only_where_all_consent_stands(store_raw, scopes, audio, video):
    session = seen(store_raw=store_raw, scopes=scopes)
    assert (_storable(session, "audio"), _storable(session, "video")) == (audio, video)


def test_a_session_is_described_by_all_that_fuses_it():
    found = _described("s1", seen())
    assert (found.started_at_us, found.ended, found.end_reason) == (START_US, True, "client_closed")
    assert found.config["parameters"]["au12_gain"] == 1.1
    assert found.consent == {"audio": True, "video": True, "store_raw": True}


def test_the_file_explains_itself_by_every_schema_that_its_records_may_have():
    found = _schemas()
    assert {found[fingerprint(name).hex()]["name"] for name in ("Signal", "AvatarFrame")} == {"Signal", "AvatarFrame"}
    assert sum(schema["name"] == "Signal" for schema in found.values()) >= 2, "earlier versions, too"


def test_too_many_sessions_are_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(RecordingError, match="between one and 10,000"):
        record(Settings(), [str(n) for n in range(10_001)], tmp_path / "a.afr", SystemClock(), print)
