"""Payloads of on-device clients: features of a face or of speech instead of media. Pure; for edge and clients alike.

Little-endian, one layout a kind, versioned by the first byte. Numbers are 32-bit floats in the order of the fields of
:class:`schemas.records.FaceSignal` and :class:`schemas.records.SpeechSignal`, vectors in the order of
:mod:`schemas.vocabulary`, so that an edge copies them into the log as they are.

====== ====== ================================================================================
offset type   face features (kind 4), 388 bytes and the engine's name
====== ====== ================================================================================
0      u8     version of the layout: 1
1      u8     flags: 1 a face was detected, 2 degraded; the others 0
2      u8     faces in the picture
3      u8     length of the engine's name
4      u32    microseconds from the capture to the end of the inference
8      i32    track id; -1: none
12     f32    confidence
16     7 f32  emotion scores, summing to 1
44     3 f32  valence, arousal, dominance
56     20 f32 Action Unit intensities
136    52 f32 blendshapes
344    7 f32  yaw, pitch, roll (degrees), gaze x and y, blink left and right
372    4 f32  box: x, y, width, height as shares of the picture
388    ...    engine, ASCII: ``name@version``
====== ====== ================================================================================

====== ====== ================================================================================
offset type   speech features (kind 5), 132 bytes and the engine's name; of the 40 ms that end at captured_at_us
====== ====== ================================================================================
0      u8     version of the layout: 1
1      u8     flags: 2 degraded; the others 0
2      u8     reserved, 0
3      u8     length of the engine's name
4      u32    microseconds from the capture to the end of the inference
8      2 f32  speaking probability, energy (dB of full scale)
16     7 f32  emotion scores
44     3 f32  probability of none of them, confidence, age of the scores (ms)
56     3 f32  valence, arousal, dominance
68     15 f32 visemes, summing to 1
128    f32    confidence of the visemes
132    ...    engine, ASCII: ``name@version``
====== ====== ================================================================================

Without a face, every number of face features is 0.
"""

import struct
from typing import Final

from schemas.records import FaceSignal, SpeechSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS, VISEMES

LAYOUT_VERSION: Final = 1
DETECTED: Final = 1
DEGRADED: Final = 2

FACE_HEAD: Final = struct.Struct("<BBBBIi")
SPEECH_HEAD: Final = struct.Struct("<BBBBI")

FACE_FIELDS: Final = (
    ("confidence", 1),
    ("emotion_scores", len(EMOTIONS)),
    ("valence", 1),
    ("arousal", 1),
    ("dominance", 1),
    ("au_intensities", len(AUS)),
    ("blendshapes", len(BLENDSHAPES)),
    ("yaw_deg", 1),
    ("pitch_deg", 1),
    ("roll_deg", 1),
    ("gaze_x", 1),
    ("gaze_y", 1),
    ("blink_left", 1),
    ("blink_right", 1),
    ("box", 4),
)
"""The floats of face features: field and how many numbers, in order."""

SPEECH_FIELDS: Final = (
    ("speaking_probability", 1),
    ("energy_dbfs", 1),
    ("emotion_scores", len(EMOTIONS)),
    ("emotion_unknown", 1),
    ("emotion_confidence", 1),
    ("emotion_age_ms", 1),
    ("valence", 1),
    ("arousal", 1),
    ("dominance", 1),
    ("viseme_scores", len(VISEMES)),
    ("viseme_confidence", 1),
)
"""The floats of speech features likewise."""

FACE_FLOATS: Final = sum(count for _, count in FACE_FIELDS)
SPEECH_FLOATS: Final = sum(count for _, count in SPEECH_FIELDS)
FACE_BYTES: Final = FACE_HEAD.size + 4 * FACE_FLOATS
SPEECH_BYTES: Final = SPEECH_HEAD.size + 4 * SPEECH_FLOATS
"""Without the engine's name."""

LONGEST_ENGINE: Final = 48


def face_payload(signal: FaceSignal, *, engine: str, inference_us: int) -> bytes:
    """Face features of ``signal``; raises ValueError if a field does not fit."""
    flags = DETECTED * signal.face_detected | DEGRADED * signal.degraded
    name = _name(engine)
    try:
        head = FACE_HEAD.pack(LAYOUT_VERSION, flags, signal.face_count, len(name), inference_us, signal.track_id)
        return head + struct.pack(f"<{FACE_FLOATS}f", *_numbers(signal, FACE_FIELDS)) + name
    except (struct.error, OverflowError) as error:
        raise ValueError(f"face features do not fit their layout: {error}") from error


def speech_payload(signal: SpeechSignal, *, engine: str, inference_us: int) -> bytes:
    """Speech features of ``signal``; raises ValueError if a field does not fit."""
    name = _name(engine)
    try:
        head = SPEECH_HEAD.pack(LAYOUT_VERSION, DEGRADED * signal.degraded, 0, len(name), inference_us)
        return head + struct.pack(f"<{SPEECH_FLOATS}f", *_numbers(signal, SPEECH_FIELDS)) + name
    except (struct.error, OverflowError) as error:
        raise ValueError(f"speech features do not fit their layout: {error}") from error


def _name(engine: str) -> bytes:
    name = engine.encode("ascii", errors="replace")
    if not 0 < len(name) <= LONGEST_ENGINE:
        raise ValueError(f"the engine's name has {len(name)} characters: 1 to {LONGEST_ENGINE} are taken")
    return name


def _numbers(signal: FaceSignal | SpeechSignal, fields: tuple[tuple[str, int], ...]) -> list[float]:
    numbers: list[float] = []
    for name, _ in fields:
        value = getattr(signal, name)
        numbers += value if isinstance(value, tuple) else (value,)
    return numbers
