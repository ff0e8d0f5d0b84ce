"""How every ONNX engine opens its networks: which processor runs them, and on how many threads.

Many workers share a host, a process a core, so a session uses the calling thread alone unless it is told otherwise, and
never spins: a thread that waits by spinning takes the core that another worker needs.

A provider that was asked for and cannot be had is said once a process, with what to do about it, and the CPU runs the
network instead; with ``strict`` that is refused. What counts is what the session says it runs on: ONNX Runtime lists
providers that it was built with, whether or not their driver and libraries are there.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import onnxruntime

from runtime.errors import ModelError, PrerequisiteError, SettingsError
from runtime.settings import Settings

log = logging.getLogger(__name__)

Provider = Literal["cpu", "cuda", "tensorrt"]

NAMES: Final[Mapping[Provider, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's own names."""

MENDED_BY: Final[Mapping[Provider, str]] = {
    "cpu": "",
    "cuda": "install affectstream[gpu] in place of [cpu], and NVIDIA's driver with CUDA 12 and cuDNN 9",
    "tensorrt": "install affectstream[gpu] in place of [cpu], and NVIDIA's driver with CUDA 12 and TensorRT 10",
}


@dataclass(frozen=True, slots=True)
class Execution:
    """Where networks run: providers in order of preference, the CPU being the last resort."""

    providers: tuple[Provider, ...] = ("cpu",)
    threads: int = 1
    strict: bool = False
    """True: PrerequisiteError instead of the CPU where the first provider cannot be had."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Execution":
        """As ``AFFECTSTREAM_ONNX_*`` says; raises SettingsError for a provider that nobody knows."""
        wanted = [part.strip() for part in settings.onnx_providers.split(",") if part.strip()]
        known = get_args(Provider)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise SettingsError(f"AFFECTSTREAM_ONNX_PROVIDERS: unknown {', '.join(unknown)}; known: {', '.join(known)}")
        chosen: tuple[Provider, ...] = tuple(name for name in known[::-1] if name in wanted)
        return cls(chosen or ("cpu",), settings.onnx_threads, settings.onnx_strict)


CPU: Final = Execution()


def open_session(path: Path, execution: Execution = CPU) -> onnxruntime.InferenceSession:
    """A session for the network in ``path``, which runs where ``execution`` says.

    Raises ModelError if the file does not load, PrerequisiteError if a strict execution cannot be had.
    """
    session = _open(path, execution, providers_of(execution))
    check(session, execution)
    return session


def providers_of(execution: Execution) -> list[str]:
    """ONNX Runtime's names of the providers that are asked for and offered, the CPU last; the others are said."""
    offered = _offered()
    for provider in execution.providers:
        if NAMES[provider] not in offered:
            _without(provider, execution, "this ONNX Runtime has no such provider")
    wanted = [NAMES[p] for p in execution.providers if NAMES[p] in offered and p != "cpu"]
    return [*wanted, NAMES["cpu"]]


def check(session: onnxruntime.InferenceSession, execution: Execution) -> None:
    """Say which of the providers that were asked for the session does without though ONNX Runtime offers them."""
    offered, used = _offered(), session.get_providers()
    for provider in execution.providers:
        if NAMES[provider] in offered and NAMES[provider] not in used:
            _without(provider, execution, "its driver or its libraries are missing")


def options_of(execution: Execution) -> onnxruntime.SessionOptions:
    """What a session is opened with: its threads, none of which spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = execution.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it says of providers that fail is said by us, once and with what to do
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    return options


def runs_on(session: onnxruntime.InferenceSession) -> Provider:
    """The provider that a session prefers."""
    first = session.get_providers()[0]
    return next(provider for provider, name in NAMES.items() if name == first)


def _open(path: Path, execution: Execution, providers: Sequence[str]) -> onnxruntime.InferenceSession:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return onnxruntime.InferenceSession(str(path), options_of(execution), providers=list(providers))
    except Exception as error:  # onnxruntime has no common base for its errors
        raise ModelError(f"{path} does not load: {error}") from error


def _offered() -> Sequence[str]:
    return list(onnxruntime.get_available_providers())


def _without(provider: Provider, execution: Execution, why: str) -> None:
    """Refuse, or say that it goes on elsewhere."""
    said = f"{provider} was asked for and cannot be had: {why} ({MENDED_BY[provider]})"
    if execution.strict and provider == execution.providers[0]:
        raise PrerequisiteError(said)
    _say_once(said)


@cache
def _say_once(said: str) -> None:
    log.warning("%s; networks run elsewhere, at the latest on the CPU", said)
