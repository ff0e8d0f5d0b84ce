"""The product's vocabulary, each word defined once: the order here is the order in every array on the wire."""

from enum import StrEnum
from typing import Final

EMOTIONS: Final = ("neutral", "happy", "sad", "angry", "surprise", "fear", "disgust")
"""Categorical emotions; index = position in every 7-vector."""

AUS: Final = (
    "AU01",
    "AU02",
    "AU04",
    "AU05",
    "AU06",
    "AU07",
    "AU09",
    "AU10",
    "AU12",
    "AU14",
    "AU15",
    "AU17",
    "AU18",
    "AU20",
    "AU23",
    "AU24",
    "AU25",
    "AU26",
    "AU28",
    "AU45",
)
"""Facial Action Units (Ekman, Friesen & Hager, FACS, 2002), intensity 0..1."""

AU_NAMES: Final = {
    "AU01": "inner_brow_raise",
    "AU02": "outer_brow_raise",
    "AU04": "brow_lower",
    "AU05": "upper_lid_raise",
    "AU06": "cheek_raise",
    "AU07": "lid_tighten",
    "AU09": "nose_wrinkle",
    "AU10": "upper_lip_raise",
    "AU12": "smile",
    "AU14": "dimple",
    "AU15": "lip_corner_depress",
    "AU17": "chin_raise",
    "AU18": "lip_pucker",
    "AU20": "lip_stretch",
    "AU23": "lip_tighten",
    "AU24": "lip_press",
    "AU25": "lips_part",
    "AU26": "jaw_drop",
    "AU28": "lip_suck",
    "AU45": "blink",
}
"""Short names, as in the message contract: ``au12_smile``, ``au06_cheek_raise``."""

BLENDSHAPES: Final = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
"""The 52 ARKit blendshape locations (Apple, ARFaceAnchor.BlendShapeLocation), weight 0..1."""

VISEMES: Final = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
"""The 15 Oculus (OVR LipSync) visemes, weight 0..1."""

ANGLES: Final = (
    "pose_yaw",
    "pose_pitch",
    "pose_roll",
    "head_yaw",
    "head_pitch",
    "head_roll",
    "neck_pitch",
    "body_lean",
)
"""AvatarFrame.angles: int16 little-endian, hundredths of a degree.

``pose_*`` is the person's fused head pose; the others are the avatar's bones after mapping and smoothing.
Signs (subject's own view): yaw > 0 turns to the subject's left, pitch > 0 looks down, roll > 0 tilts
towards the subject's left shoulder, body_lean > 0 leans forward.
"""

AFFECT: Final = ("valence", "arousal", "dominance", "gaze_x", "gaze_y")
"""AvatarFrame.affect: int16 little-endian, ten-thousandths of [-1, 1].

gaze_x > 0: to the subject's left; gaze_y > 0: down (screen-relative, 0 = into the camera).
"""

LEVELS: Final = (
    "speaking_probability",
    "viseme_confidence",
    "face_weight",
    "speech_weight",
    "face_confidence",
    "speech_confidence",
    "glow_intensity",
    "body_slouch",
)
"""AvatarFrame.levels: uint8, 255ths of [0, 1]."""

SIGNAL_HOPS: Final = ("captured", "received", "ingested", "consumed", "inferred")
"""Instants of a sample before fusion, in order; AvatarFrame.*_hops_ms holds them relative to the frame's tick."""


class Modality(StrEnum):
    """What a sample is about."""

    FACE = "face"
    SPEECH = "speech"


class Stage(StrEnum):
    """Where in the pipeline a ledger entry was written."""

    INGEST = "ingest"
    FACE_WORKER = "face_worker"
    SPEECH_WORKER = "speech_worker"
    FUSION = "fusion"
    EGRESS = "egress"
    ANALYTICS = "analytics"


class Outcome(StrEnum):
    """What became of an item: ``used``, or the one reason for which it was dropped."""

    USED = "used"
    # ingest edge
    NO_CONSENT = "no_consent"
    ON_DEVICE = "on_device"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    TOO_FAST = "too_fast"
    OUT_OF_ORDER = "out_of_order"
    REPLACED_BY_NEWER = "replaced_by_newer"
    UNSUPPORTED = "unsupported"
    BROKER_UNAVAILABLE = "broker_unavailable"
    SHED = "shed"
    # workers
    STALE = "stale"
    UNDECODABLE = "undecodable"
    GAP = "gap"
    ENGINE_ERROR = "engine_error"
    ERASED = "erased"
    NO_KEY = "no_key"
    # fusion
    LATE = "late"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    UNKNOWN_SESSION = "unknown_session"
    SECOND_START = "second_start"
    # egress
    SLOW_CLIENT = "slow_client"
    # anywhere
    UNREADABLE = "unreadable"
