from cli.fusing import fuse_session
from schemas.codec import Codec
from schemas.records import AvatarFrame
from tests.support.session_records import whole_session

CODEC = Codec()


def test_a_session_becomes_its_frames_and_again_the_same():
    signals = [CODEC.encode(signal) for signal in whole_session("s", 2)]
    frames = fuse_session("s", signals)
    assert [CODEC.decode(AvatarFrame, value).sequence for value in frames] == list(range(61))
    assert fuse_session("s", signals) == frames


def test_no_signals_give_no_frames():
    assert fuse_session("s", []) == []
