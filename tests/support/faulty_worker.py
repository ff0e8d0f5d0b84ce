"""A real worker whose engine, on purpose, hangs on a full-scale sample or a white picture, or crashes on it.

``TEST_FATE`` says which.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cli.main import main
from inference_workers import face_engines
from inference_workers.engines import choice
from runtime.settings import Settings

FULL_SCALE = 0.999
WHITE = 250


def _end() -> None:
    if os.environ["TEST_FATE"] == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    threading.Event().wait()


def _faulty(make: Callable[[Settings], Any], ends_it: Callable[[Any], bool]) -> Callable[[Settings], Any]:
    def made(settings: Settings) -> Any:
        engine = make(settings)
        infer = engine.infer

        def faulty(batch: Sequence[Any]) -> Any:
            if any(map(ends_it, batch)):
                _end()
            return infer(batch)

        engine.infer = faulty
        return engine

    return made


if __name__ == "__main__":
    # The makers, not the engines: nothing of ONNX Runtime is loaded before the guardian forks, as in the product.
    choice.MAKERS["embedded"] = _faulty(choice.MAKERS["embedded"], lambda window: np.abs(window).max() >= FULL_SCALE)
    face_engines.MAKERS["embedded"] = _faulty(
        face_engines.MAKERS["embedded"], lambda given: given.picture.min() >= WHITE
    )
    main()
