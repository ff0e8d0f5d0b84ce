"""DeepFace answers crops: paths on stdin, a JSON object of scores a line on stdout; each crop is the face."""

import json
import sys
import time

import cv2
from deepface import DeepFace


def main() -> None:
    for line in sys.stdin:
        picture = cv2.imread(line.strip())
        began = time.process_time()
        (found,) = DeepFace.analyze(picture, actions=["emotion"], detector_backend="skip", silent=True)
        scores = {name: float(score) for name, score in found["emotion"].items()}
        sys.stdout.write(json.dumps({"scores": scores, "ms": (time.process_time() - began) * 1e3}) + "\n")


main()
