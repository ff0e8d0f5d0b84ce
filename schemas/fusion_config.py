"""The fusion's parameters: every name, default, unit and range, defined once.

The ingest edge writes the full set into ``SessionStarted``; the dataflow reads only what stands there. So a
default that changes tomorrow cannot change the replay of yesterday's session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MappingName = Literal["direct_au", "emotion_style", "blend"]
SmoothingName = Literal["spring", "ema", "one_euro"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the configuration, its default and its closed range."""

    default: float
    minimum: float
    maximum: float
    meaning: str
    before: float | None = None
    """What a session recorded before the parameter existed was fused by; None: the default."""

    @property
    def unrecorded(self) -> float:
        """The value where a recorded session does not say it."""
        return self.default if self.before is None else self.before


VERSION: Final = "4"
"""Version of the parameter set: another name or default is another version. It is recorded with every session."""

PARAMETERS: Final[Mapping[str, Parameter]] = {
    # closing of ticks
    "max_wait_ms": Parameter(120.0, 0.0, 2_000.0, "a tick waits this long for the slower modality"),
    "live_ms": Parameter(500.0, 50.0, 10_000.0, "a modality is live if its newest sample is younger"),
    "max_gap_ms": Parameter(1_000.0, 100.0, 60_000.0, "a longer silence of all modalities skips its ticks"),
    "face_slack_ms": Parameter(33.0, 0.0, 500.0, "a face sample this much before the tick closes it"),
    "speech_slack_ms": Parameter(39.0, 0.0, 500.0, "a speech sample this much before the tick closes it"),
    # attention
    "face_threshold": Parameter(0.2, 0.0, 1.0, "face confidence under which its weight is 0"),
    "speech_threshold": Parameter(0.2, 0.0, 1.0, "speech confidence under which its weight is 0"),
    "speaking_context": Parameter(1.0, 0.0, 10.0, "logits added to speech at speaking probability 1"),
    "face_certainty": Parameter(
        2.0, 0.0, 10.0, "exponent of the likeliest emotion's score in a face's confidence", before=0.0
    ),
    "frontality_context": Parameter(2.0, 0.0, 10.0, "logits added to face when frontal and large"),
    "staleness_context": Parameter(4.0, 0.0, 50.0, "logits taken off for each second of age"),
    # mouth
    "mouth_on": Parameter(0.7, 0.0, 1.0, "speaking probability above which visemes own the mouth"),
    "mouth_off": Parameter(0.5, 0.0, 1.0, "speaking probability below which the face gets it back"),
    "mouth_crossfade_ms": Parameter(45.0, 30.0, 60.0, "cross-fade between the two"),
    # mapping
    "au12_gain": Parameter(1.1, 0.0, 4.0, "smile = clamp(gain * AU12, 0, 1)"),
    "au06_damping": Parameter(0.9, 0.0, 1.0, "cheek raise = damping * AU06"),
    "au04_slope": Parameter(10.0, 0.1, 50.0, "slope of the frown's sigmoid"),
    "au04_midpoint": Parameter(0.4, 0.0, 1.0, "AU04 at which the frown is one half"),
    "head_exaggeration": Parameter(1.1, 0.0, 3.0, "avatar head angle per degree of head pose"),
    "happy_smile": Parameter(0.8, 0.0, 1.0, "smile added at happy = 1"),
    "happy_au06": Parameter(0.4, 0.0, 1.0, "cheek raise added at happy = 1"),
    "happy_glow": Parameter(0.2, 0.0, 1.0, "glow at happy = 1"),
    "sad_head_pitch_deg": Parameter(3.0, 0.0, 30.0, "degrees of head pitch (down) at sad = 1"),
    "sad_slouch": Parameter(0.3, 0.0, 1.0, "slouch at sad = 1"),
    "arousal_lean_deg": Parameter(5.0, 0.0, 30.0, "degrees of forward lean at arousal = 1"),
    "arousal_eye_wide": Parameter(0.3, 0.0, 1.0, "eye widening at arousal = 1"),
    "style_share": Parameter(0.5, 0.0, 1.0, "blend: share of emotion_style in the mix"),
    # calibration
    "calibration_seconds": Parameter(
        3.0, 0.0, 8.0, "of a face at rest, from which the person's neutral AUs are learned; 0: not learned", before=0.0
    ),
    # smoothing: time constants of the critically damped spring and of the EMA
    "tau_face_ms": Parameter(40.0, 0.0, 2_000.0, "brows, lids, cheeks, mouth by AUs"),
    "tau_mouth_ms": Parameter(20.0, 0.0, 2_000.0, "mouth while visemes own it"),
    "tau_eyes_ms": Parameter(15.0, 0.0, 2_000.0, "blink and gaze"),
    "tau_pose_ms": Parameter(60.0, 0.0, 2_000.0, "head, neck and body"),
    "tau_emotion_ms": Parameter(150.0, 0.0, 5_000.0, "emotion scores, valence, arousal, dominance"),
    "one_euro_min_cutoff_hz": Parameter(1.5, 0.01, 30.0, "One-Euro: cut-off at rest"),
    "one_euro_beta": Parameter(0.3, 0.0, 10.0, "One-Euro: growth of the cut-off with speed"),
}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message says which parameter, its value and its range."""


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """A complete, validated configuration. ``parameters`` holds every name of :data:`PARAMETERS`."""

    version: str = VERSION
    mapping: MappingName = "blend"
    smoothing: SmoothingName = "spring"
    parameters: Mapping[str, float] = field(default_factory=lambda: {name: p.default for name, p in PARAMETERS.items()})

    @classmethod
    def of(
        cls,
        overrides: Mapping[str, float] | None = None,
        *,
        mapping: MappingName = "blend",
        smoothing: SmoothingName = "spring",
        version: str = VERSION,
    ) -> "FusionConfig":
        """Defaults with ``overrides``; raises :class:`ConfigError` on an unknown name or a value out of range."""
        values = {name: p.default for name, p in PARAMETERS.items()}
        for name, value in (overrides or {}).items():
            parameter = PARAMETERS.get(name)
            if parameter is None:
                msg = f"unknown fusion parameter {name!r}; known: {', '.join(PARAMETERS)}"
                raise ConfigError(msg)
            if not parameter.minimum <= value <= parameter.maximum:
                msg = f"{name} = {value} is outside [{parameter.minimum}, {parameter.maximum}]: {parameter.meaning}"
                raise ConfigError(msg)
            values[name] = float(value)
        if values["mouth_off"] > values["mouth_on"]:
            msg = f"mouth_off = {values['mouth_off']} exceeds mouth_on = {values['mouth_on']}"
            raise ConfigError(msg)
        return cls(version=version, mapping=mapping, smoothing=smoothing, parameters=values)
