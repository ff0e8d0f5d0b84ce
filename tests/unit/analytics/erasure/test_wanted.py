"""Which records are to go, by digest alone."""

from dataclasses import replace

from analytics.erasure.wanted import Wanted
from runtime.erasures import Erasure
from runtime.keystore import MemoryKeyStore
from schemas.codec import Codec
from schemas.topics import AVATAR_FRAMES, LEDGER, MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS
from tests.support.session_records import face, speech, started

CODEC = Codec()


def asked(store, session_id, scope):
    return Erasure(1, store.digest(session_id), scope, "operator", 0, (), {}, None, "")


def test_a_whole_session_goes_from_every_topic():
    store = MemoryKeyStore()
    wanted = Wanted(store, CODEC, [asked(store, "ann", "session")])
    for topic in (SIGNALS, AVATAR_FRAMES, LEDGER, MEDIA_AUDIO):
        assert wanted.takes(topic, b"ann", b"whatever") == store.digest("ann")
        assert wanted.takes(topic, b"ben", b"whatever") is None
        assert wanted.takes(topic, b"\xff\xfe", None) is None
    assert wanted.whole_sessions == {store.digest("ann")}


def test_of_a_modality_go_its_media_and_its_signals():
    store = MemoryKeyStore()
    wanted = Wanted(store, CODEC, [asked(store, "ann", "video")])
    digest = store.digest("ann")
    assert not wanted.whole_sessions
    assert wanted.takes(MEDIA_VIDEO, b"ann", b"") == digest
    assert wanted.takes(MEDIA_AUDIO, b"ann", b"") is None
    assert wanted.takes(AVATAR_FRAMES, b"ann", b"") is None
    assert wanted.takes(SIGNALS, b"ann", CODEC.encode(face("ann", 1))) == digest
    assert wanted.takes(SIGNALS, b"ann", CODEC.encode(speech("ann", 1))) is None
    assert wanted.takes(SIGNALS, b"ann", CODEC.encode(started("ann"))) is None
    assert wanted.takes(SIGNALS, b"ann", b"rubbish") == digest, "nobody can say what it is"
    assert wanted.takes(SIGNALS, b"ben", CODEC.encode(replace(face("ben", 1)))) is None
