"""The VMC protocol (https://protocol.vmc.info, version 3.1): a session's frames as OSC datagrams. Pure.

A performer tells a marionette (VSeeFace, Warudo, a Unity scene with EVMC4U) blendshapes, bones and that it lives. It
has Unity's axes: left-handed, y up, and the avatar looks along +z, so its right is +x.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from schemas.vocabulary import BLENDSHAPES

DEFAULT_PORT: Final = 39539
"""Where marionettes listen by custom."""

MAX_DATAGRAM_BYTES: Final = 1_200
"""Fits the least MTU of IPv6 (1,280 bytes) with its headers, so that no datagram is fragmented."""

BUNDLE_HEADER_BYTES: Final = 16
SIZE_BYTES: Final = 4
"""Before each element of a bundle."""

NameSet = Literal["arkit", "perfect-sync", "vrm0", "vrm1"]
"""arkit: Apple's 52 names. perfect-sync: the same with a capital, as VRM models name them. vrm0, vrm1: the presets."""

NAME_SETS: Final[tuple[NameSet, ...]] = ("arkit", "perfect-sync", "vrm0", "vrm1")

PERFECT_SYNC: Final = {name: name[0].upper() + name[1:] for name in BLENDSHAPES}

VRM_MOUTH: Final = {"aa": ("A", "aa"), "ih": ("I", "ih"), "ou": ("U", "ou"), "E": ("E", "ee"), "oh": ("O", "oh")}
"""Viseme -> preset of VRM 0 and of VRM 1."""

VRM_EMOTIONS: Final = {
    "happy": ("Joy", "happy"),
    "angry": ("Angry", "angry"),
    "sad": ("Sorrow", "sad"),
    "surprise": ("Surprised", "surprised"),
}
"""Emotion -> preset. VRM 0 has none for surprise: "Surprised" is the name that most models use."""

VRM_EYES: Final = {
    ("Blink_L", "blinkLeft"): ("eyeBlinkLeft",),
    ("Blink_R", "blinkRight"): ("eyeBlinkRight",),
    ("LookUp", "lookUp"): ("eyeLookUpLeft", "eyeLookUpRight"),
    ("LookDown", "lookDown"): ("eyeLookDownLeft", "eyeLookDownRight"),
    ("LookLeft", "lookLeft"): ("eyeLookOutLeft", "eyeLookInRight"),
    ("LookRight", "lookRight"): ("eyeLookInLeft", "eyeLookOutRight"),
}
"""Preset -> the ARKit shapes whose mean it is; left and right are the avatar's own."""

CALIBRATED: Final = 3
NORMAL_MODE: Final = 0
IDENTITY: Final = (0.0, 0.0, 0.0, 1.0)
Quaternion = tuple[float, float, float, float]


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Quaternion:
    """Unity's quaternion (x, y, z, w) of a turn by roll, then pitch, then yaw.

    In: yaw > 0 to the subject's left, pitch > 0 down, roll > 0 towards the subject's left shoulder. In Unity's axes
    these are turns of -yaw about y, +pitch about x and +roll about z, in Unity's own order (z, x, y).
    """
    x, y, z = (math.radians(angle) / 2 for angle in (pitch_deg, -yaw_deg, roll_deg))
    cx, sx, cy, sy, cz, sz = math.cos(x), math.sin(x), math.cos(y), math.sin(y), math.cos(z), math.sin(z)
    return (
        sx * cy * cz + cx * sy * sz,
        cx * sy * cz - sx * cy * sz,
        cx * cy * sz - sx * sy * cz,
        cx * cy * cz + sx * sy * sz,
    )


class Performer:
    """Turns the messages of one session into datagrams.

    ``names`` says which blendshapes are told; a model that has both ARKit shapes and presets would show a sum of both.
    """

    def __init__(self, names: Sequence[NameSet] = ("arkit",)) -> None:
        self._names = tuple(names)
        self._first_ms: int | None = None
        self._emotions: Mapping[str, float] = {}
        self._shown: Mapping[str, float] = {}
        self._turns: Mapping[str, tuple[float, float, float]] = {}

    def emotion(self, message: Mapping[str, Any]) -> None:
        """Take an ``emotion_update``: the presets of the frames that follow show it."""
        self._emotions = message["payload"]["scores"]

    def frame(self, message: Mapping[str, Any]) -> list[bytes]:
        """The datagrams of an ``avatar_frame``, to be sent in this order: the last one applies the blendshapes."""
        payload = message["payload"]
        if self._first_ms is None:
            self._first_ms = message["timestamp_ms"]
        bones = payload["bone_transforms"]
        self._turns = {
            "Spine": (0.0, bones["body_lean"], 0.0),
            "Neck": (0.0, bones["neck_pitch"], 0.0),
            "Head": (bones["head_yaw"], bones["head_pitch"], bones["head_roll"]),
        }
        self._shown = self._weights(payload)
        messages = [
            available(tracking=True),
            _osc("/VMC/Ext/T", (message["timestamp_ms"] - self._first_ms) / 1_000),
            _osc("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, *IDENTITY),
            *(_bone(name, rotation(*angles)) for name, angles in self._turns.items()),
        ]
        return datagrams([*messages, *_blends(self._shown)])

    def relaxing(self, share: float) -> list[bytes]:
        """The newest frame with only a ``share`` of its expression, untracked: 0 is a resting face.

        For when the session has fallen silent. Before the first frame there is nothing but a sign of life.
        """
        told = [available(tracking=False)]
        told += [_bone(name, rotation(*(angle * share for angle in angles))) for name, angles in self._turns.items()]
        if self._shown:
            told += _blends({name: weight * share for name, weight in self._shown.items()})
        return datagrams(told)

    def _weights(self, payload: Mapping[str, Any]) -> dict[str, float]:
        """Every blendshape to be told, 0..1, by the receiver's name."""
        shapes = payload["blendshapes"]
        weights: dict[str, float] = {}
        for name_set in self._names:
            if name_set == "arkit":
                weights.update((name, shapes[name]) for name in BLENDSHAPES)
            elif name_set == "perfect-sync":
                weights.update((PERFECT_SYNC[name], shapes[name]) for name in BLENDSHAPES)
            else:
                weights.update(self._presets(payload, 0 if name_set == "vrm0" else 1))
        return weights

    def _presets(self, payload: Mapping[str, Any], version: int) -> Iterable[tuple[str, float]]:
        shapes = payload["blendshapes"]
        for viseme, presets in VRM_MOUTH.items():
            # While the face owns the mouth, all that the five vowels can show of it is how far it is open.
            shown = payload["visemes"][viseme] if payload["viseme_mouth"] else shapes["jawOpen"] * (viseme == "aa")
            yield presets[version], shown
        for emotion, presets in VRM_EMOTIONS.items():
            yield presets[version], self._emotions.get(emotion, 0.0)
        for names, parts in VRM_EYES.items():
            yield names[version], sum(shapes[part] for part in parts) / len(parts)


def available(*, tracking: bool) -> OscMessage:
    """``/VMC/Ext/OK``: a model is loaded and calibrated, and whether its person is tracked now."""
    return _osc("/VMC/Ext/OK", 1, CALIBRATED, NORMAL_MODE, int(tracking))


def datagrams(messages: Iterable[OscMessage]) -> list[bytes]:
    """Bundles of the messages in their order, each of at most :data:`MAX_DATAGRAM_BYTES`."""
    bundles: list[bytes] = []
    builder, size = OscBundleBuilder(IMMEDIATELY), BUNDLE_HEADER_BYTES
    for message in messages:
        if size + SIZE_BYTES + message.size > MAX_DATAGRAM_BYTES and size > BUNDLE_HEADER_BYTES:
            bundles.append(builder.build().dgram)
            builder, size = OscBundleBuilder(IMMEDIATELY), BUNDLE_HEADER_BYTES
        builder.add_content(message)
        size += SIZE_BYTES + message.size
    if size > BUNDLE_HEADER_BYTES:
        bundles.append(builder.build().dgram)
    return bundles


def _blends(weights: Mapping[str, float]) -> list[OscMessage]:
    told = [_osc("/VMC/Ext/Blend/Val", name, float(weight)) for name, weight in weights.items()]
    return [*told, _osc("/VMC/Ext/Blend/Apply")]


def _bone(name: str, turned: Quaternion) -> OscMessage:
    """A bone's turn against its parent; its place is the receiver's own matter, and told as none."""
    return _osc("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *turned)


_TYPES: Final = {str: OscMessageBuilder.ARG_TYPE_STRING, int: OscMessageBuilder.ARG_TYPE_INT}


def _osc(address: str, *values: str | float) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value, _TYPES.get(type(value), OscMessageBuilder.ARG_TYPE_FLOAT))
    return builder.build()
