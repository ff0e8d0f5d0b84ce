"""hsemotion-onnx answers crops: paths on stdin, a JSON object of scores a line on stdout. Contempt is not asked for."""

import json
import sys
import time
import urllib.request  # noqa: F401 - it uses it, and does not import it

import cv2
from hsemotion_onnx.facial_emotions import HSEmotionRecognizer


def main() -> None:
    model = HSEmotionRecognizer(model_name="enet_b0_8_best_afew")
    for line in sys.stdin:
        read = cv2.imread(line.strip())
        assert read is not None, line
        picture = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
        began = time.process_time()
        _, found = model.predict_emotions(picture, logits=False)
        scores = {model.idx_to_class[i]: float(score) for i, score in enumerate(found)}
        sys.stdout.write(json.dumps({"scores": scores, "ms": (time.process_time() - began) * 1e3}) + "\n")


main()
