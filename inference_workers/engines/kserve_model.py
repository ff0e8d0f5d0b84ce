"""One model on Triton, or any server of the Open Inference Protocol (KServe v2), by gRPC or REST.

The tensors travel in shared memory where the server runs on this machine and offers it (Triton does, MLServer does
not), and over the connection elsewhere.
"""

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inference_workers.served import SCHEMES, Address, TensorSpec
from runtime.errors import ModelError, ModelServerError

log = logging.getLogger(__name__)

Tensor = NDArray[np.float32]

DTYPES: Final[Mapping[str, Any]] = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}
"""What inputs may be, in the protocol's words."""
SHARED_MEMORY: Final = "system_shared_memory"
"""What servers call the extension."""
WARM_UP_S: Final = 10.0
"""For the first questions: the server may have to load what it needs."""
NO_SUCH_MODEL: Final = {"404", "StatusCode.NOT_FOUND"}


class KServeModel:
    """One model of one server, with a single input."""

    def __init__(
        self, address: Address, *, timeout_s: float, token: str = "", datatypes: Sequence[str] = ("FP32",)
    ) -> None:
        """``datatypes``: what its input may be, of :data:`DTYPES`; ``timeout_s``: for one question."""
        self.address = address
        self._datatypes = datatypes
        self._timeout_s = timeout_s
        self._headers = {"authorization": f"Bearer {token}"} if token else None
        self._local = threading.local()  # tritonclient's HTTP client belongs to the thread that made it
        self._spec: TensorSpec | None = None
        self._region: _SharedRegion | None = None
        self._asked_for_region = False

    def input(self, *, anew: bool = False) -> TensorSpec:
        """The model's input, asked for once or anew; raises ModelServerError, and ModelError if it has others or none.

        A server that has no such model is a ModelError too.
        """
        if self._spec is None or anew:
            inputs = self._metadata()["inputs"]
            if len(inputs) != 1 or inputs[0].datatype not in self._datatypes:
                took = ", ".join(f"{each.name} {each.datatype} {list(each.shape)}" for each in inputs)
                wanted = " or ".join(self._datatypes)
                raise ModelError(f"{self.address} takes {took or 'nothing'}, not one input of {wanted}")
            self._spec = inputs[0]
        return self._spec

    def outputs(self) -> Sequence[TensorSpec]:
        """The model's outputs as it describes them; raises ModelServerError, and ModelError if there is no model."""
        return self._metadata()["outputs"]

    def infer(self, batch: NDArray[Any], timeout_s: float | None = None) -> Mapping[str, Tensor]:
        """The outputs by name for a batch of the input's type, one row an item; raises ModelServerError."""
        spec = self.input()
        library = self._library()
        asked = library.InferInput(spec.name, list(batch.shape), spec.datatype)
        region = self._shared_region(batch.nbytes)
        if region is not None:
            region.fill(batch)
            asked.set_shared_memory(region.name, batch.nbytes)
        elif self.address.is_grpc:
            asked.set_data_from_numpy(batch)
        else:
            asked.set_data_from_numpy(batch, binary_data=False)  # the binary extension is not everywhere
        limit_s = timeout_s or self._timeout_s
        try:
            if self.address.is_grpc:
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
            if self.address.is_grpc:
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
            if isinstance(error, InferenceServerException) and error.status() in NO_SUCH_MODEL:
                raise ModelError(f"{self.address}: the server has no such model: {error.message()}") from error
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
            extensions = metadata.extensions if self.address.is_grpc else metadata.get("extensions", ())
            if SHARED_MEMORY not in extensions:
                return None
            if self._region is not None:
                self._region.close(client)
            self._region = _SharedRegion(client, size)
        except Exception as error:  # noqa: BLE001 - as above; the connection serves as well
            log.warning("%s offers shared memory, but takes none: %s", self.address, error)
            self._region = None
        return self._region

    def _library(self) -> Any:
        return tritonclient.grpc if self.address.is_grpc else tritonclient.http

    def _client(self, timeout_s: float) -> Any:
        """The client of the calling thread."""
        clients: dict[str, Any] = self._local.__dict__
        key = "client" if self.address.is_grpc else f"client {timeout_s}"
        if key not in clients:
            where = self.address.server
            secure = SCHEMES[self.address.scheme]
            if self.address.is_grpc:
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

    def fill(self, batch: NDArray[Any]) -> None:
        """Put a batch where the server reads it."""
        self._library.set_shared_memory_region(self._handle, [batch])

    def close(self, client: Any) -> None:
        """Give it back."""
        client.unregister_system_shared_memory(self.name)
        self._library.destroy_shared_memory_region(self._handle)
