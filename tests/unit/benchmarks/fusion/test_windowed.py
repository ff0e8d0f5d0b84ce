from benchmarks.fusion.signals import RecordedLog
from benchmarks.fusion.windowed import WINDOW_MS, Session, Window, decode, event_time_ms, window_of
from dataflows.shard import Shard
from schemas.codec import Codec
from schemas.records import AvatarFrame

COMPARED = (
    "captured_at_us", "emotions", "affect", "levels", "aus", "angles", "blendshapes", "visemes", "discontinuity",
    "face_live", "speech_live", "viseme_mouth", "mapping", "sequence", "session_id",
)  # fmt: skip


def values(frames):
    codec = Codec()
    read = [codec.decode(AvatarFrame, value) for value in frames]
    return {(f.session_id, f.sequence): [getattr(f, name) for name in COMPARED] for f in read}


def test_a_window_ends_with_its_tick():
    tick = 30 * 1_760_000_000
    assert window_of(1_760_000_000_000_000) == tick
    assert window_of(1_760_000_000_000_001) == tick + 1
    assert window_of(1_760_000_000_033_333) == tick + 1
    assert window_of(1_760_000_000_033_334) == tick + 2


def test_windows_over_the_log_give_the_frames_that_fusion_gives():
    log = RecordedLog(sessions=2, seconds=2)
    values_in_order = [value for piece in log.slices() for value in piece.values]
    keys = [key for piece in log.slices() for key in piece.keys]
    windows, sessions = {}, {}
    for value in values_in_order:
        sample = decode(value)
        place = (event_time_ms(sample) // WINDOW_MS, sample.session)
        windows.setdefault(place, Window()).add(sample)
        sessions.setdefault(sample.session, Session())
    windowed = [
        sessions[session].tick(session, window, windows[window, session]) for window, session in sorted(windows)
    ]

    shard = Shard(0, 1)
    step = shard.step([(i, key, value) for i, (key, value) in enumerate(zip(keys, values_in_order, strict=True))])
    ours = values(frame[1] for frame in step.frames)
    assert len(ours) == log.frames
    assert values(frame for frame in windowed if frame is not None) == ours
