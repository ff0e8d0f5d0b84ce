"""``python -m benchmarks.workers.mediapipe PICTURES BUNDLE REPEATS``: Face Landmarker as MediaPipe's package offers it.

Run by an interpreter of its own. ``PICTURES`` is a zip of JPEGs, in order of their names, 30 a second. JPEG to 478
landmarks, 52 blendshapes and the head's matrix, in the video mode, which follows a face as our engine does; one face,
for which alone it smooths. There are no Action Units, gaze, emotion or record in it. Prints one JSON object:
CPU-seconds of each run over all threads, and of each picture the face's box as fractions, or null.
"""

import json
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import mediapipe  # type: ignore[import-not-found]
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision  # type: ignore[import-not-found]

Box = tuple[float, float, float, float]


def main(pictures: Path, bundle: Path, repeats: int) -> None:
    with zipfile.ZipFile(pictures) as archive:
        jpegs = [archive.read(name) for name in sorted(archive.namelist())]
    spent: list[float] = []
    boxes: list[Box | None] = []
    for _ in range(repeats):
        boxes, cpu_s = run(jpegs, bundle)
        spent.append(cpu_s)
    print(json.dumps({"cpu_s": spent, "boxes": boxes}))


def run(jpegs: Sequence[bytes], bundle: Path) -> tuple[list[Box | None], float]:
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(bundle)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
        num_faces=1,
    )
    boxes: list[Box | None] = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        landmarker.detect_for_video(image(jpegs[0]), 0)  # loading is not what is measured
        began_s = time.process_time()
        for number, jpeg in enumerate(jpegs, start=1):
            found = landmarker.detect_for_video(image(jpeg), number * 1_000 // 30)
            boxes.append(box_of(found.face_landmarks[0]) if found.face_landmarks and found.face_blendshapes else None)
        spent_s = time.process_time() - began_s
    return boxes, spent_s


def image(jpeg: bytes) -> "mediapipe.Image":
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)


def box_of(landmarks: "Sequence[mediapipe.tasks.components.containers.NormalizedLandmark]") -> Box:
    points = np.array([(each.x, each.y) for each in landmarks])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
