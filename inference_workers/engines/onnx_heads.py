"""Networks of heads from somebody's own ONNX files, run in this process; see :mod:`.face_heads`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference_workers.engines.face_heads import Numbers
from inference_workers.engines.onnx_sessions import CPU, Execution, open_session
from inference_workers.face_chain import Head
from inference_workers.served import TensorSpec

DTYPES: Final[Mapping[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
"""What networks may take, in ONNX Runtime's words."""


class OnnxNetwork:
    """A :class:`~inference_workers.engines.face_heads.HeadNetwork` on the calling thread."""

    max_batch: Final = 1
    """On one core a batch only makes the first face wait."""
    dtypes: Final = DTYPES

    def __init__(self, head: Head, execution: Execution = CPU) -> None:
        """Load the head's file; raises ModelError if it does not load."""
        assert head.file is not None
        self._session = open_session(head.file, execution)

    def inputs(self) -> Sequence[TensorSpec]:
        return [_spec(each) for each in self._session.get_inputs()]

    def outputs(self) -> Sequence[TensorSpec]:
        return [_spec(each) for each in self._session.get_outputs()]

    def run(self, feed: str, batch: NDArray[Any], wanted: Sequence[str]) -> Mapping[str, Numbers]:
        # One by one: some networks take a batch of 1 only.
        rows = [self._session.run(wanted, {feed: batch[place : place + 1]}) for place in range(len(batch))]
        return {
            name: np.stack([np.asarray(row[column], np.float64).reshape(-1) for row in rows])
            for column, name in enumerate(wanted)
        }


def _spec(described: onnxruntime.NodeArg) -> TensorSpec:
    return TensorSpec(described.name, described.type, tuple(described.shape))
