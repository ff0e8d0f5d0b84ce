"""Models on Triton, or any server of the Open Inference Protocol (KServe v2), by gRPC or REST.

The tensors travel in shared memory where the server runs on this machine and offers it (Triton does, MLServer does
not), and over the connection elsewhere.
"""

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.facial_affect import of_scores
from inference_workers.speech.features import SAMPLE_RATE_HZ
from runtime.errors import AffectstreamError, ModelError, SettingsError
from schemas.vocabulary import EMOTIONS

log = logging.getLogger(__name__)

Tensor = NDArray[np.float32]

SCHEMES: Final = {"grpc": False, "grpcs": True, "http": False, "https": True}
"""Ways to a server, and whether they are encrypted."""
LOCAL: Final = {"localhost", "127.0.0.1", "::1"}
SHARED_MEMORY: Final = "system_shared_memory"
"""What servers call the extension."""
WARM_UP_S: Final = 10.0
MAX_BATCH: Final = 32
SUM_TOLERANCE: Final = 0.01


class ModelServerError(AffectstreamError):
    """The server could not be asked, refused, or answered something else than the model's metadata says."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a model's metadata; a dimension of -1 may be anything."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """``scheme://host:port/model``."""

    scheme: str
    host: str
    port: int
    model: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises SettingsError."""
        parts = urlsplit(url)
        model = parts.path.strip("/")
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in SCHEMES or not parts.hostname or port is None or not model or "/" in model:
            raise SettingsError(
                f"AFFECTSTREAM_SPEECH_URL {url!r} is not scheme://host:port/model with a scheme of {', '.join(SCHEMES)}"
            )
        if parts.username or parts.password:
            raise SettingsError(
                "AFFECTSTREAM_SPEECH_URL is shown in logs: a secret belongs in AFFECTSTREAM_SPEECH_TOKEN"
            )
        return cls(parts.scheme, parts.hostname, port, model)

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return self.host in LOCAL

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/{self.model}"


class KServeModel:
    """One model of one server, with a single input of floats."""

    def __init__(self, address: Address, *, timeout_s: float, token: str = "") -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._headers = {"authorization": f"Bearer {token}"} if token else None
        self._local = threading.local()  # tritonclient's HTTP client belongs to the thread that made it
        self._spec: TensorSpec | None = None
        self._region: _SharedRegion | None = None
        self._asked_for_region = False

    def input(self) -> TensorSpec:
        """The model's input, asked for once; raises ModelServerError, and ModelError if it has others or none."""
        if self._spec is None:
            inputs = self._metadata()["inputs"]
            if len(inputs) != 1 or inputs[0].datatype != "FP32":
                took = ", ".join(f"{each.name} {each.datatype} {list(each.shape)}" for each in inputs)
                raise ModelError(f"{self.address} takes {took or 'nothing'}, not one input of FP32")
            self._spec = inputs[0]
        return self._spec

    def outputs(self) -> Sequence[TensorSpec]:
        """The model's outputs as it describes them; raises ModelServerError."""
        return self._metadata()["outputs"]

    def infer(self, batch: Tensor, timeout_s: float | None = None) -> Mapping[str, Tensor]:
        """The outputs by name for a batch, one row an item; raises ModelServerError."""
        spec = self.input()
        library = self._library()
        asked = library.InferInput(spec.name, list(batch.shape), "FP32")
        region = self._shared_region(batch.nbytes)
        if region is not None:
            region.fill(batch)
            asked.set_shared_memory(region.name, batch.nbytes)
        elif self._is_grpc():
            asked.set_data_from_numpy(batch)
        else:
            asked.set_data_from_numpy(batch, binary_data=False)  # the binary extension is not everywhere
        limit_s = timeout_s or self._timeout_s
        try:
            if self._is_grpc():
                answer = self._client(limit_s).infer(
                    self.address.model, [asked], client_timeout=limit_s, headers=self._headers
                )
                names = [each.name for each in answer.get_response().outputs]
            else:
                answer = self._client(limit_s).infer(self.address.model, [asked], headers=self._headers)
                names = [each["name"] for each in answer.get_response()["outputs"]]
            return {name: np.asarray(answer.as_numpy(name), np.float32) for name in names}
        except Exception as error:  # tritonclient's, gRPC's and gevent's errors have no common base
            raise self._failure(error) from error

    def _metadata(self) -> Mapping[str, list[TensorSpec]]:
        try:
            client = self._client(WARM_UP_S)
            if self._is_grpc():
                found = client.get_model_metadata(
                    self.address.model, headers=self._headers, as_json=True, client_timeout=WARM_UP_S
                )
            else:
                found = client.get_model_metadata(self.address.model, headers=self._headers)
            return {
                kind: [
                    TensorSpec(each["name"], each["datatype"], tuple(int(n) for n in each.get("shape", ())))
                    for each in found.get(kind, ())
                ]
                for kind in ("inputs", "outputs")
            }
        except Exception as error:  # as above
            raise self._failure(error) from error

    def _shared_region(self, size: int) -> "_SharedRegion | None":
        """Shared memory of at least this size that the server has taken; None where it is of no use or not offered."""
        if not self.address.local:
            return None
        if self._region is not None and self._region.size >= size:
            return self._region
        if self._region is None and self._asked_for_region:
            return None
        self._asked_for_region = True
        try:
            client = self._client(WARM_UP_S)
            metadata = client.get_server_metadata(headers=self._headers)
            extensions = metadata.extensions if self._is_grpc() else metadata.get("extensions", ())
            if SHARED_MEMORY not in extensions:
                return None
            if self._region is not None:
                self._region.close(client)
            self._region = _SharedRegion(client, size)
        except Exception as error:  # noqa: BLE001 - as above; the connection serves as well
            log.warning("%s offers shared memory, but takes none: %s", self.address, error)
            self._region = None
        return self._region

    def _is_grpc(self) -> bool:
        return self.address.scheme.startswith("grpc")

    def _library(self) -> Any:
        return tritonclient.grpc if self._is_grpc() else tritonclient.http

    def _client(self, timeout_s: float) -> Any:
        """The client of the calling thread."""
        clients: dict[str, Any] = self._local.__dict__
        key = "client" if self._is_grpc() else f"client {timeout_s}"
        if key not in clients:
            where = f"{self.address.host}:{self.address.port}"
            secure = SCHEMES[self.address.scheme]
            if self._is_grpc():
                clients[key] = tritonclient.grpc.InferenceServerClient(where, ssl=secure)
            else:
                clients[key] = tritonclient.http.InferenceServerClient(
                    where, ssl=secure, connection_timeout=timeout_s, network_timeout=timeout_s
                )
        return clients[key]

    def _failure(self, error: Exception) -> ModelServerError:
        said = error.message() if isinstance(error, InferenceServerException) else str(error)
        return ModelServerError(f"{self.address}: {said or type(error).__name__}")


class _SharedRegion:
    """System shared memory that a server reads inputs from."""

    def __init__(self, client: Any, size: int) -> None:
        from tritonclient.utils import shared_memory  # noqa: PLC0415 - needs librt, which not every machine has

        self.name = f"affectstream-{uuid.uuid4().hex[:12]}"
        self.size = size
        self._library = shared_memory
        self._handle: Any = shared_memory.create_shared_memory_region(self.name, f"/{self.name}", size)
        try:
            client.register_system_shared_memory(self.name, f"/{self.name}", size)
        except BaseException:
            shared_memory.destroy_shared_memory_region(self._handle)
            raise

    def fill(self, batch: Tensor) -> None:
        """Put a batch where the server reads it."""
        self._library.set_shared_memory_region(self._handle, [batch])

    def close(self, client: Any) -> None:
        """Give it back."""
        client.unregister_system_shared_memory(self.name)
        self._library.destroy_shared_memory_region(self._handle)


class KServeSpeech:
    """Emotion of windows by a served model: FP32 of n x 16,000 in, probabilities of n x labels out.

    A :class:`inference_workers.engines.protocols.SpeechEngine`. Labels that are none of our emotions are unknown mass.
    """

    max_batch: Final = MAX_BATCH

    def __init__(self, url: str, *, timeout_s: float, labels: Sequence[str], token: str = "") -> None:
        """``labels``: what the outputs mean, in order; raises SettingsError."""
        if len(set(labels)) != len(labels) or not set(labels) & set(EMOTIONS):
            raise SettingsError(f"AFFECTSTREAM_SPEECH_LABELS {','.join(labels)!r} names none of {', '.join(EMOTIONS)}")
        self._model = KServeModel(Address.of(url), timeout_s=timeout_s, token=token)
        self._labels = tuple(labels)
        self._places = [labels.index(name) if name in labels else -1 for name in EMOTIONS]

    @property
    def source(self) -> str:
        """The served model's name: ``kserve:MODEL@1``."""
        return f"kserve:{self._model.address.model}@1"

    def warm_up(self) -> None:
        """Ask the server for the model and one answer; raises ModelServerError, ModelError."""
        shape = self._model.input().shape
        if len(shape) != 2 or shape[1] not in {-1, SAMPLE_RATE_HZ}:
            raise ModelError(f"{self._model.address} takes {list(shape)}, not [-1, {SAMPLE_RATE_HZ}]")
        self._ask(np.zeros((1, SAMPLE_RATE_HZ), np.float32), WARM_UP_S)

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        return self._ask(np.stack(windows), None)

    def _ask(self, batch: Tensor, timeout_s: float | None) -> Sequence[SpeechEmotion]:
        found = self._model.infer(batch, timeout_s)
        wanted = (len(batch), len(self._labels))
        probabilities = next((tensor for tensor in found.values() if tensor.shape == wanted), None)
        if probabilities is None:
            shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in found.items())
            raise ModelServerError(f"{self._model.address} gives {shapes}, nothing of {list(wanted)}")
        totals = probabilities.sum(axis=1)
        if probabilities.min() < 0.0 or np.abs(totals - 1.0).max() > SUM_TOLERANCE:
            raise ModelServerError(f"{self._model.address} gives no probabilities: rows sum to {totals[0]:.3f}")
        return [self._emotion(row) for row in (probabilities / totals[:, None]).tolist()]

    def _emotion(self, row: Sequence[float]) -> SpeechEmotion:
        scores = tuple(row[place] if place >= 0 else 0.0 for place in self._places)
        affect = of_scores(scores)
        return SpeechEmotion(
            scores=scores,
            unknown=max(1.0 - sum(scores), 0.0),
            confidence=max(scores),
            valence=affect.valence,
            arousal=affect.arousal,
            dominance=affect.dominance,
        )
