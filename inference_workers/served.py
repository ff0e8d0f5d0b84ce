"""Where a model is that a server serves, and what the tensors of a model are. Pure."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = {"grpc": False, "grpcs": True, "http": False, "https": True}
"""Ways to a server, and whether they are encrypted."""
LOCAL: Final = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor as a model's file or its server describes it.

    A dimension that may be anything is -1 to a server, and a name to a file; ``datatype`` is in their own words.
    """

    name: str
    datatype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """``scheme://host:port/model``."""

    scheme: str
    host: str
    port: int
    model: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises ValueError, which says what the address should be."""
        parts = urlsplit(url)
        model = parts.path.strip("/")
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.username or parts.password:
            raise ValueError(
                "an address is shown in logs: a secret belongs in AFFECTSTREAM_SPEECH_TOKEN or AFFECTSTREAM_FACE_TOKEN"
            )
        if parts.scheme not in SCHEMES or not parts.hostname or port is None or not model or "/" in model:
            raise ValueError(f"{url!r} is not scheme://host:port/model with a scheme of {', '.join(SCHEMES)}")
        return cls(parts.scheme, parts.hostname, port, model)

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return self.host in LOCAL

    @property
    def is_grpc(self) -> bool:
        """Whether the way there is gRPC."""
        return self.scheme.startswith("grpc")

    @property
    def server(self) -> str:
        """``host:port``, as clients want it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.server}/{self.model}"
