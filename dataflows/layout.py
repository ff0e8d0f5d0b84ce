"""Where each number stands: columns of samples, fields of a session's row, channels of a frame.

A session is one row of a structured array (all that belongs to it lies together, so ten thousand sessions cost a
processor's caches no more than a hundred do) and two short rings of samples. Indices here are plain integers:
compiled code takes them as constants.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.bulk import FACE_WIDTH, SPEECH_WIDTH
from schemas.fusion_config import PARAMETERS
from schemas.vocabulary import AFFECT, ANGLES, AUS, BLENDSHAPES, EMOTIONS, LEVELS, VISEMES

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

# modalities
FACE: Final = 0
SPEECH: Final = 1
LIFECYCLE: Final = 2

# what became of a record
USED: Final = 0
LATE: Final = 1
DUPLICATE: Final = 2
INVALID: Final = 3
SECOND_START: Final = 4
UNKNOWN_SESSION: Final = 5
UNREADABLE: Final = 6
OUTCOMES: Final = ("used", "late", "duplicate", "invalid", "second_start", "unknown_session", "unreadable")
SESSION_OUTCOMES: Final = 5
"""The outcomes before this one are counted in a session's row."""

# what closed a tick
OPEN: Final = 0
BOTH: Final = 1
MAX_WAIT: Final = 2
END: Final = 3
CLOSED_BY: Final = ("", "both", "max_wait", "end")

# states of a row
FREE: Final = 0
ACTIVE: Final = 1
SILENT: Final = 2

# time
US: Final = 1_000_000
TICKS_A_SECOND: Final = 30
LATEST_US: Final = 1 << 53
"""Instants are accepted from 0 up to here (the year 2255), so that no sum of them overflows."""
PARTITION_STEP_US: Final = US
SILENCE_US: Final = 15 * 60 * US
SWEEP_US: Final = 60 * US
FRESH_US: Final = 100_000
"""A held sample counts fully for this long, then ever less until it is no longer live."""

CACHE_LINE: Final = 64
"""Bytes that a processor reads from memory at once."""
RING: Final = 12
"""Samples that a modality can be ahead of the oldest open tick; a full ring closes that tick."""
LEDGER_TICKS: Final = 300
AU_BINS: Final = 24
"""Bins of the histogram from which an AU's neutral intensity is learned."""
RECENT: Final = 62
"""How far back a sequence is known to have been seen or not."""

# vocabulary
N_EMOTIONS: Final = len(EMOTIONS)
N_AUS: Final = len(AUS)
N_BLENDSHAPES: Final = len(BLENDSHAPES)
N_VISEMES: Final = len(VISEMES)
NEUTRAL: Final = EMOTIONS.index("neutral")
HAPPY: Final = EMOTIONS.index("happy")
SAD: Final = EMOTIONS.index("sad")

# columns of a face sample
F_CONFIDENCE: Final = 0
F_EMOTIONS: Final = 1
F_VALENCE: Final = F_EMOTIONS + N_EMOTIONS
F_AUS: Final = F_VALENCE + 3
F_BLENDSHAPES: Final = F_AUS + N_AUS
F_YAW: Final = F_BLENDSHAPES + N_BLENDSHAPES
F_PITCH: Final = F_YAW + 1
F_ROLL: Final = F_YAW + 2
F_GAZE: Final = F_YAW + 3
F_BLINK: Final = F_GAZE + 2
F_BOX: Final = F_BLINK + 2
F_DETECTED: Final = F_BOX + 4
F_TRACK: Final = F_DETECTED + 1
F_WIDTH: Final = F_TRACK + 1
assert F_WIDTH == FACE_WIDTH

# columns of a speech sample
S_SPEAKING: Final = 0
S_ENERGY: Final = 1
S_EMOTIONS: Final = 2
S_UNKNOWN: Final = S_EMOTIONS + N_EMOTIONS
S_CONFIDENCE: Final = S_UNKNOWN + 1
S_AGE: Final = S_CONFIDENCE + 1
S_VALENCE: Final = S_AGE + 1
S_VISEMES: Final = S_VALENCE + 3
S_VISEME_CONFIDENCE: Final = S_VISEMES + N_VISEMES
S_WIDTH: Final = S_VISEME_CONFIDENCE + 1
assert S_WIDTH == SPEECH_WIDTH

TOLERANCE: Final = 1e-3
"""Models' 32-bit arithmetic may overstep a range by this much."""


def _ranges(width: int, *spans: tuple[int, int, float, float]) -> tuple[Float64s, Float64s]:
    low, high = np.full(width, np.nan), np.full(width, np.nan)
    for start, stop, least, most in spans:
        low[start:stop] = least - TOLERANCE
        high[start:stop] = most + TOLERANCE
    assert not np.isnan(low).any()
    return low, high


BIG: Final = 1e9

FACE_LOW, FACE_HIGH = _ranges(
    F_WIDTH,
    (F_CONFIDENCE, F_VALENCE, 0.0, 1.0),
    (F_VALENCE, F_AUS, -1.0, 1.0),
    (F_AUS, F_YAW, 0.0, 1.0),
    (F_YAW, F_GAZE, -180.0, 180.0),
    (F_GAZE, F_BLINK, -1.0, 1.0),
    (F_BLINK, F_BOX, 0.0, 1.0),
    (F_BOX, F_DETECTED, -4.0, 4.0),
    (F_DETECTED, F_TRACK, 0.0, 1.0),
    (F_TRACK, F_WIDTH, -BIG, BIG),
)
"""Accepted ranges of a face sample's columns; a box may stick out of the picture."""

SPEECH_LOW, SPEECH_HIGH = _ranges(
    S_WIDTH,
    (S_SPEAKING, S_ENERGY, 0.0, 1.0),
    (S_ENERGY, S_EMOTIONS, -1000.0, 100.0),
    (S_EMOTIONS, S_AGE, 0.0, 1.0),
    (S_AGE, S_VALENCE, 0.0, BIG),
    (S_VALENCE, S_VISEMES, -1.0, 1.0),
    (S_VISEMES, S_WIDTH, 0.0, 1.0),
)
"""Accepted ranges of a speech sample's columns."""

# smoothed channels
C_VISEMES: Final = N_BLENDSHAPES
C_EMOTIONS: Final = C_VISEMES + N_VISEMES
C_AFFECT: Final = C_EMOTIONS + N_EMOTIONS
C_GAZE: Final = C_AFFECT + 3
C_BONES: Final = C_GAZE + 2
"""head_yaw, head_pitch, head_roll, neck_pitch, body_lean: the last five of ANGLES."""
C_GLOW: Final = C_BONES + 5
C_SLOUCH: Final = C_GLOW + 1
CHANNELS: Final = C_SLOUCH + 1

# outputs
POSE: Final = 3
N_BONES: Final = len(ANGLES) - POSE
N_AFFECT: Final = len(AFFECT)
N_LEVELS: Final = len(LEVELS)
N_HOPS: Final = 5

# configuration
PARAMETER_INDEX: Final = {name: index for index, name in enumerate(PARAMETERS)}
N_PARAMETERS: Final = len(PARAMETERS)
MAPPINGS: Final = ("direct_au", "emotion_style", "blend")
DIRECT_AU: Final = 0
EMOTION_STYLE: Final = 1
BLEND: Final = 2
SMOOTHINGS: Final = ("spring", "ema", "one_euro")
SPRING: Final = 0
EMA: Final = 1
ONE_EURO: Final = 2

P_FACE_THRESHOLD: Final = PARAMETER_INDEX["face_threshold"]
P_SPEECH_THRESHOLD: Final = PARAMETER_INDEX["speech_threshold"]
P_SPEAKING_CONTEXT: Final = PARAMETER_INDEX["speaking_context"]
P_FACE_CERTAINTY: Final = PARAMETER_INDEX["face_certainty"]
P_FRONTALITY_CONTEXT: Final = PARAMETER_INDEX["frontality_context"]
P_STALENESS_CONTEXT: Final = PARAMETER_INDEX["staleness_context"]
P_MOUTH_ON: Final = PARAMETER_INDEX["mouth_on"]
P_MOUTH_OFF: Final = PARAMETER_INDEX["mouth_off"]
P_MOUTH_CROSSFADE_MS: Final = PARAMETER_INDEX["mouth_crossfade_ms"]
P_AU12_GAIN: Final = PARAMETER_INDEX["au12_gain"]
P_AU06_DAMPING: Final = PARAMETER_INDEX["au06_damping"]
P_AU04_SLOPE: Final = PARAMETER_INDEX["au04_slope"]
P_AU04_MIDPOINT: Final = PARAMETER_INDEX["au04_midpoint"]
P_HEAD_EXAGGERATION: Final = PARAMETER_INDEX["head_exaggeration"]
P_HAPPY_SMILE: Final = PARAMETER_INDEX["happy_smile"]
P_HAPPY_AU06: Final = PARAMETER_INDEX["happy_au06"]
P_HAPPY_GLOW: Final = PARAMETER_INDEX["happy_glow"]
P_SAD_HEAD_PITCH_DEG: Final = PARAMETER_INDEX["sad_head_pitch_deg"]
P_SAD_SLOUCH: Final = PARAMETER_INDEX["sad_slouch"]
P_AROUSAL_LEAN_DEG: Final = PARAMETER_INDEX["arousal_lean_deg"]
P_AROUSAL_EYE_WIDE: Final = PARAMETER_INDEX["arousal_eye_wide"]
P_STYLE_SHARE: Final = PARAMETER_INDEX["style_share"]
P_CALIBRATION_SECONDS: Final = PARAMETER_INDEX["calibration_seconds"]
P_TAU_FACE_MS: Final = PARAMETER_INDEX["tau_face_ms"]
P_TAU_MOUTH_MS: Final = PARAMETER_INDEX["tau_mouth_ms"]
P_TAU_EYES_MS: Final = PARAMETER_INDEX["tau_eyes_ms"]
P_TAU_POSE_MS: Final = PARAMETER_INDEX["tau_pose_ms"]
P_TAU_EMOTION_MS: Final = PARAMETER_INDEX["tau_emotion_ms"]
P_ONE_EURO_MIN_CUTOFF_HZ: Final = PARAMETER_INDEX["one_euro_min_cutoff_hz"]
P_ONE_EURO_BETA: Final = PARAMETER_INDEX["one_euro_beta"]

ROW: Final = np.dtype(
    [
        ("active", "i8"),
        ("started_us", "i8"),  # captured_at_us of SessionStarted
        ("t0_us", "i8"),  # instant of tick 0
        ("tick", "i8"),  # number of the oldest open tick
        ("clock_us", "i8"),  # the session clock C
        ("seen_us", "i8"),  # the partition's clock at the session's last record
        ("mapping", "i8"),
        ("smoothing", "i8"),
        ("max_wait_us", "i8"),
        ("live_us", "i8"),
        ("max_gap_us", "i8"),
        ("slack_us", "i8", 2),
        ("most_ticks", "i8"),  # ticks that one record can close at most
        ("expected", "i8", 2),
        ("newest_us", "i8", 2),  # newest sample of each modality, -1: none
        ("sequence", "i8", 2),  # highest sequence seen, -1: none
        ("recent", "i8", 2),  # bit n: sequence - n was seen
        ("head", "i8", 2),  # ring slot of the oldest sample kept
        ("count", "i8", 2),
        ("smooth", "i8"),  # 0: smoothing restarts at the next tick
        ("gap", "i8"),  # 1: ticks were skipped before the next one
        ("viseme_mouth", "i8"),
        ("mouth_share", "f8"),  # of the visemes, 0..1
        ("ledger_due", "i8"),  # tick at which counts are next written
        ("learn", "i8"),  # ticks from which the calibration is learned, 0: not learned
        ("learned", "i8"),  # ticks that it was learned from so far
        ("reset_us", "i8"),  # instant from which to learn it anew, -1: not asked for
        ("counts", "i8", (3, SESSION_OUTCOMES)),  # since the last ledger entry, by modality and outcome
        # up to here what every record touches, from here what a tick does
        ("config", "f8", N_PARAMETERS),
        ("au_neutral", "f8", N_AUS),
        ("au_gain", "f8", N_AUS),
        ("position", "f8", CHANNELS),
        ("velocity", "f8", CHANNELS),
        # and from here what a tick touches only while the calibration is learned
        ("au_seen", "u1", (N_AUS, AU_BINS)),  # ticks learned from, by intensity
    ],
    align=True,
)
"""One session. What is used together lies together: a processor takes it from memory by lines of 64 bytes."""
OF_A_RECORD: Final = int(ROW.fields["config"][1])  # type: ignore[index]  # it has fields
OF_A_TICK: Final = int(ROW.fields["au_seen"][1])  # type: ignore[index]
"""Where in a row ends what a record, and what a tick, touches."""

# fields of State.partition
CLOCK: Final = 0
NEXT_SWEEP: Final = 1
FREED: Final = 2
PARTITION_FIELDS: Final = 3


class State(NamedTuple):
    """Everything that a partition's sessions are. Row ``r`` of each array belongs to one session."""

    rows: npt.NDArray[np.void]  # (capacity,) of ROW
    face_values: npt.NDArray[np.float32]  # (capacity, RING, F_WIDTH)
    face_stamps: Int64s  # (capacity, RING, N_HOPS), µs; column 0 is captured_at_us
    speech_values: npt.NDArray[np.float32]  # (capacity, RING, S_WIDTH)
    speech_stamps: Int64s
    partition: Int64s  # (PARTITION_FIELDS,)


def new_state(capacity: int) -> State:
    """A state with room for ``capacity`` sessions, all rows free."""
    return State(
        rows=np.zeros(capacity, ROW),
        face_values=np.zeros((capacity, RING, F_WIDTH), np.float32),
        face_stamps=np.zeros((capacity, RING, N_HOPS), np.int64),
        speech_values=np.zeros((capacity, RING, S_WIDTH), np.float32),
        speech_stamps=np.zeros((capacity, RING, N_HOPS), np.int64),
        partition=np.array([-1, 0, 0], np.int64),
    )


class Batch(NamedTuple):
    """Records in log order; see :class:`schemas.bulk.SignalBatch`."""

    rows: Int64s  # (n,) the session's row, -1: not for the core
    modality: npt.NDArray[np.int8]  # (n,)
    stamps: Int64s  # (n, N_HOPS)
    sequence: Int64s  # (n,)
    place: Int64s  # (n,) the sample's row in ``faces`` or ``speeches``
    faces: npt.NDArray[np.float32]  # (faces, F_WIDTH)
    speeches: npt.NDArray[np.float32]  # (speeches, S_WIDTH)
    outcomes: npt.NDArray[np.int8]  # (n,) written by the core


# fields of Output.used
FRAMES: Final = 0
ENTRIES: Final = 1
RECORD: Final = 2
# columns of Output.flags
FLAG_DISCONTINUITY: Final = 0
FLAG_FACE_LIVE: Final = 1
FLAG_SPEECH_LIVE: Final = 2
FLAG_VISEME_MOUTH: Final = 3
FLAG_MAX_WAIT: Final = 4
FLAG_MAPPING: Final = 5
FLAG_CLOSED_BY: Final = 6
N_FLAGS: Final = 7


class Output(NamedTuple):
    """Frames and ledger counts that the core fills; ``used`` says how many of each, and which record it is at."""

    used: Int64s  # (3,) frames, ledger entries, the batch's record that is being taken
    record: Int64s  # (capacity,) the record that closed the frame's tick: it names the session
    tick: Int64s  # (capacity,) sequence
    tick_us: Int64s  # (capacity,)
    hops: npt.NDArray[np.float32]  # (capacity, 2, N_HOPS) ms relative to the tick, by modality
    emotions: npt.NDArray[np.uint8]
    affect: npt.NDArray[np.int16]
    levels: npt.NDArray[np.uint8]
    aus: npt.NDArray[np.uint8]
    angles: npt.NDArray[np.int16]
    blendshapes: npt.NDArray[np.uint8]
    visemes: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]  # (capacity, N_FLAGS)
    entry_row: Int64s  # (capacity,)
    entry_tick: Int64s
    entry_us: Int64s
    entry_counts: Int64s  # (capacity, 3, SESSION_OUTCOMES)


def new_output(capacity: int) -> Output:
    """Room for ``capacity`` frames and as many ledger entries."""
    return Output(
        used=np.zeros(3, np.int64),
        record=np.zeros(capacity, np.int64),
        tick=np.zeros(capacity, np.int64),
        tick_us=np.zeros(capacity, np.int64),
        hops=np.zeros((capacity, 2, N_HOPS), np.float32),
        emotions=np.zeros((capacity, N_EMOTIONS), np.uint8),
        affect=np.zeros((capacity, N_AFFECT), np.int16),
        levels=np.zeros((capacity, N_LEVELS), np.uint8),
        aus=np.zeros((capacity, N_AUS), np.uint8),
        angles=np.zeros((capacity, POSE + N_BONES), np.int16),
        blendshapes=np.zeros((capacity, N_BLENDSHAPES), np.uint8),
        visemes=np.zeros((capacity, N_VISEMES), np.uint8),
        flags=np.zeros((capacity, N_FLAGS), np.uint8),
        entry_row=np.zeros(capacity, np.int64),
        entry_tick=np.zeros(capacity, np.int64),
        entry_us=np.zeros(capacity, np.int64),
        entry_counts=np.zeros((capacity, 3, SESSION_OUTCOMES), np.int64),
    )
