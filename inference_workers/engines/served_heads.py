"""Networks of heads on Triton, or any KServe v2 server, by gRPC or REST; see :mod:`.face_heads`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.engines.face_heads import Numbers
from inference_workers.engines.kserve_model import DTYPES, WARM_UP_S, KServeModel
from inference_workers.face_chain import Head
from inference_workers.served import Address, TensorSpec
from runtime.errors import ModelServerError


class ServedNetwork:
    """A :class:`~inference_workers.engines.face_heads.HeadNetwork` that is asked for all faces of a batch at once."""

    def __init__(self, head: Head, *, timeout_s: float, token: str = "") -> None:
        """``timeout_s``: for one batch."""
        assert head.server is not None
        address = Address.of(head.server)
        # JSON has no halves: tritonclient refuses them without the binary extension.
        self.dtypes: Final = DTYPES if address.is_grpc else {n: each for n, each in DTYPES.items() if n != "FP16"}
        self.max_batch: Final = head.batch
        self._model = KServeModel(address, timeout_s=timeout_s, token=token, datatypes=tuple(self.dtypes))
        self._asked = False

    def inputs(self) -> Sequence[TensorSpec]:
        return [self._model.input(anew=True)]

    def outputs(self) -> Sequence[TensorSpec]:
        return self._model.outputs()

    def run(self, feed: str, batch: NDArray[Any], wanted: Sequence[str]) -> Mapping[str, Numbers]:
        """Raises ModelServerError. The first time it may take longer: the server may have to load the model."""
        del feed  # there is but one input
        limit_s = None if self._asked else WARM_UP_S
        found = self._model.infer(np.ascontiguousarray(batch), limit_s)
        self._asked = True
        rows = {}
        for name in wanted:
            if name not in found or len(found[name]) != len(batch):
                shapes = ", ".join(f"{each} {list(tensor.shape)}" for each, tensor in found.items())
                raise ModelServerError(
                    f"{self._model.address} gives {shapes or 'nothing'}, not {name} with {len(batch)} rows"
                )
            rows[name] = np.asarray(found[name], np.float64).reshape(len(batch), -1)
        return rows
