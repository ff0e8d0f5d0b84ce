"""The model as MLServer loads it."""

from bands import probabilities
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class BandEmotion(MLModel):
    async def predict(self, payload):
        windows = NumpyCodec.decode_input(payload.inputs[0])
        found = NumpyCodec.encode_output("probabilities", probabilities(windows))
        return InferenceResponse(model_name=self.name, outputs=[found])
