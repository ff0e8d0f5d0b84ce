"""PyPI ``fer`` answers crops: paths on stdin, a JSON object of scores a line on stdout; each crop is the face."""

import json
import sys
import time

import cv2
from fer.fer import FER


def main() -> None:
    model = FER(offsets=(0, 0))
    for line in sys.stdin:
        picture = cv2.imread(line.strip())
        assert picture is not None, line
        height, width = picture.shape[:2]
        began = time.process_time()
        (found,) = model.detect_emotions(picture, face_rectangles=[(0, 0, width, height)])
        scores = {name: float(score) for name, score in found["emotions"].items()}
        sys.stdout.write(json.dumps({"scores": scores, "ms": (time.process_time() - began) * 1e3}) + "\n")


main()
