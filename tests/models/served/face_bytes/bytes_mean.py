"""A head that takes grey pictures as bytes, as MLServer loads it: their mean."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class FaceBytes(MLModel):
    async def predict(self, payload):
        pictures = NumpyCodec.decode_input(payload.inputs[0])
        assert pictures.dtype == np.uint8, pictures.dtype
        mean = pictures.mean(axis=(1, 2), dtype=np.float64)[:, None].astype(np.float32)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("mean", mean)])
