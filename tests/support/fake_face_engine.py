"""A face engine without networks: brightness is happiness. Passes tests/contract/test_face_engine.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from inference_workers.engines.protocols import FaceInput, FaceOutput
from schemas.records import FaceSignal
from schemas.vocabulary import AUS, BLENDSHAPES, EMOTIONS


@dataclass
class FakeFaceEngine:
    """Sees a face in every picture that is not black; fails on pictures whose first pixel is pure red.

    ``calls`` holds the sizes of the batches; the state counts the session's pictures, and is given as track_id.
    """

    max_batch: int = 4
    source: str = "fake_face@1"
    calls: list[int] = field(default_factory=list)
    warm: bool = False

    def warm_up(self) -> None:
        self.warm = True

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        self.calls.append(len(batch))
        if any(each.picture[0, 0, 2] > 250 and each.picture[0, 0, :2].max() < 5 for each in batch):
            raise FloatingPointError("the fake engine does not like this picture")
        return [self._one(each) for each in batch]

    def _one(self, given: FaceInput) -> FaceOutput:
        count = (given.state or 0) + 1
        happy = float(given.picture.mean()) / 255.0
        seen = happy > 0.01
        scores = (1.0 - happy, happy, 0.0, 0.0, 0.0, 0.0, 0.0) if seen else (0.0,) * len(EMOTIONS)
        signal = FaceSignal(
            face_detected=seen,
            confidence=1.0 if seen else 0.0,
            emotion_scores=scores,
            valence=happy if seen else 0.0,
            arousal=0.0,
            dominance=0.0,
            au_intensities=(0.0,) * len(AUS),
            blendshapes=(0.0,) * len(BLENDSHAPES),
            yaw_deg=0.0,
            pitch_deg=0.0,
            roll_deg=0.0,
            gaze_x=0.0,
            gaze_y=0.0,
            blink_left=0.0,
            blink_right=0.0,
            box=(0.0, 0.0, 1.0, 1.0) if seen else (0.0,) * 4,
            face_count=int(seen),
            track_id=count if seen else -1,
        )
        return FaceOutput(signal, count)
