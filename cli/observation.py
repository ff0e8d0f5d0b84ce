"""What a client of the avatar stream saw, held against the sample's ground truth. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any, Final

from cli.sample import GroundTruth

FACE_MARGIN_S: Final = 1.0
SPEECH_MARGIN_S: Final = 0.5
"""Figures leave out so much beside each change of the truth: fusion's filters need a moment, on purpose."""
FACE_DECIDES: Final = 0.5
"""Weight of the face from which on the emotion is what it shows."""


class Observation:
    """Counts and collects the messages of one session.

    ``started_at_us`` is the instant, on the service's clock, that the sample's first picture and sound were given.
    """

    def __init__(self, truth: GroundTruth, started_at_us: int) -> None:
        self._truth = truth
        self._started_at_us = started_at_us
        self._last_sequence: int | None = None
        self.frames = 0
        self.emotion_updates = 0
        self.missing = 0
        self.repeated = 0
        self.discontinuities = 0
        self.newest_ms = 0
        """``timestamp_ms`` of the newest frame."""
        self._happy_on_top: list[bool] = []
        self._speaking: dict[str, list[float]] = {"speech": [], "silence": []}
        self._tick_to_client_ms: list[float] = []
        self._capture_to_client_ms: dict[str, list[float]] = {"face": [], "speech": []}

    def message(self, received_at_us: int, message: Mapping[str, Any]) -> None:
        """Take one message of the stream, received at ``received_at_us`` on the service's clock."""
        match message["type"]:
            case "avatar_frame":
                self._avatar_frame(received_at_us, message)
            case "emotion_update":
                self._emotion_update(message)
            case _:
                return

    def _avatar_frame(self, received_at_us: int, message: Mapping[str, Any]) -> None:
        sequence = int(message["sequence"])
        self.frames += 1
        self.discontinuities += bool(message["payload"]["discontinuity"])
        if self._last_sequence is not None:
            step = sequence - self._last_sequence
            self.missing += max(0, step - 1)
            self.repeated += step <= 0
        self._last_sequence = max(sequence, self._last_sequence or 0)
        self.newest_ms = max(self.newest_ms, message["timestamp_ms"])
        after_tick_ms = received_at_us / 1_000 - message["timestamp_ms"]
        self._tick_to_client_ms.append(after_tick_ms)
        for modality, latencies in self._capture_to_client_ms.items():
            hops = message["hops_ms"].get(modality)
            if hops is not None:
                latencies.append(after_tick_ms - hops["captured"])

    def _emotion_update(self, message: Mapping[str, Any]) -> None:
        self.emotion_updates += 1
        at_s = (message["timestamp_ms"] * 1_000 - self._started_at_us) / 1e6
        if at_s < 0:
            return
        payload = message["payload"]
        # On a machine that falls behind pictures go stale, and the voice alone decides: that says nothing of the face.
        if self._truth.shows_face(at_s, margin_s=FACE_MARGIN_S) and payload["weights"]["face"] >= FACE_DECIDES:
            self._happy_on_top.append(payload["emotion"] == "happy")
        if self._truth.speaks(at_s, margin_s=SPEECH_MARGIN_S):
            self._speaking["speech"].append(payload["speaking_probability"])
        elif self._truth.silent(at_s, margin_s=SPEECH_MARGIN_S):
            self._speaking["silence"].append(payload["speaking_probability"])

    def figures(self) -> dict[str, Any]:
        """For the summary; null where nothing was seen."""
        happy = self._happy_on_top
        return {
            "frames": self.frames,
            "emotion_updates": self.emotion_updates,
            "sequence_gaps": self.missing,
            "repeated_frames": self.repeated,
            "discontinuities": self.discontinuities,
            "happy_on_top_share": round(sum(happy) / len(happy), 3) if happy else None,
            "speaking_in_speech": _median(self._speaking["speech"]),
            "speaking_in_silence": _median(self._speaking["silence"]),
            "latency_ms": {
                "tick_to_client": _spread(self._tick_to_client_ms),
                "face_capture_to_client": _spread(self._capture_to_client_ms["face"]),
                "speech_capture_to_client": _spread(self._capture_to_client_ms["speech"]),
            },
        }


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if len(values) < 2:
        return None
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1)}
