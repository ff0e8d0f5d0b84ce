"""Which engine a worker runs, by its settings. Each is imported only when it is chosen: they are heavy."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from inference_workers import models, sensevoice_model
from inference_workers.engines import extras
from inference_workers.engines.fallback import FallbackSpeech, do_nothing
from inference_workers.engines.protocols import SpeechEngine
from runtime.clock import Clock
from runtime.errors import SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings

log = logging.getLogger(__name__)

NEEDS: Final = {
    "sensevoice": ("inference_workers.engines.sensevoice", "sensevoice"),
    "sensevoice-onnx": ("inference_workers.engines.sensevoice_onnx", "sensevoice-onnx"),
    "kserve": ("inference_workers.engines.kserve", "kserve"),
}
"""Engines that need more than the product's own dependencies: module and extra."""


IN_PROCESS: Final = {"sensevoice", "sensevoice-onnx"}
"""Engines that nothing but the end of the process can stop."""


def crash() -> None:
    """End this process at once: whoever keeps it running begins it anew."""
    os.abort()


def speech_engine(settings: Settings, clock: Clock, metrics: Metrics) -> SpeechEngine:
    """The speech engine that the settings name, warmed up; others than the embedded one are backed up by it.

    Raises SettingsError, PrerequisiteError or ModelError if it cannot be made. A server that does not answer now is
    no error: the embedded engine answers until it does.
    """
    engine = bare_speech_engine(settings)
    if settings.speech_engine != "embedded":
        budget_s = settings.speech_timeout_ms / 1e3
        engine = FallbackSpeech(
            engine, embedded(settings), clock, metrics, budget_s=budget_s,
            on_stuck=crash if settings.speech_engine in IN_PROCESS else do_nothing,
        )  # fmt: skip
    engine.warm_up()
    return engine


def bare_speech_engine(settings: Settings) -> SpeechEngine:
    """The named engine without anything behind it, not yet warmed up; raises as :func:`speech_engine`."""
    return MAKERS[settings.speech_engine](settings)


def module_of(name: str) -> Any:
    """The module of an engine that needs an extra; PrerequisiteError says which."""
    return extras.module_of(f"speech engine {name}", *NEEDS[name])


def embedded(settings: Settings) -> SpeechEngine:
    """The default engine; raises PrerequisiteError, ModelError."""
    # These load ONNX Runtime.
    from inference_workers.engines.embedded_speech import EmbeddedSpeech  # noqa: PLC0415
    from inference_workers.engines.onnx_sessions import Execution  # noqa: PLC0415

    quiet, in_noise = (models.locate(settings, name) for name in ("speech_emotion", "speech_emotion_noise"))
    return EmbeddedSpeech(quiet, in_noise, execution=Execution.from_settings(settings))


def _sensevoice(settings: Settings) -> SpeechEngine:
    path = sensevoice_model.locate(settings, "torch")
    return _licensed(settings, module_of("sensevoice").SenseVoice, path)


def _sensevoice_onnx(settings: Settings) -> SpeechEngine:
    path = sensevoice_model.locate(settings, "onnx")
    return _licensed(settings, module_of("sensevoice-onnx").SenseVoiceOnnx, path)


def _licensed(settings: Settings, make: Callable[..., SpeechEngine], path: Path) -> SpeechEngine:
    """An engine of SenseVoice's files in ``path``; says their licence once they are loaded."""
    made = make(path, device=settings.inference_device, language=settings.speech_language)
    log.info(
        "speech: %s; licence: %s (%s)",
        sensevoice_model.WHAT, sensevoice_model.LICENCE, sensevoice_model.LICENCE_IN_SHORT,
    )  # fmt: skip
    return made


def _remote(settings: Settings) -> SpeechEngine:
    from inference_workers.engines.remote_speech import RemoteSpeech  # noqa: PLC0415

    made = RemoteSpeech(_url(settings), timeout_s=settings.speech_timeout_ms / 1e3, token=settings.speech_token)
    _say_where(settings)
    return made


def _kserve(settings: Settings) -> SpeechEngine:
    made: SpeechEngine = module_of("kserve").KServeSpeech(
        _url(settings),
        timeout_s=settings.speech_timeout_ms / 1e3,
        labels=[label.strip() for label in settings.speech_labels.split(",")],
        token=settings.speech_token,
    )
    _say_where(settings)
    return made


MAKERS: Final[dict[str, Callable[[Settings], SpeechEngine]]] = {
    "embedded": embedded,
    "sensevoice": _sensevoice,
    "sensevoice-onnx": _sensevoice_onnx,
    "remote": _remote,
    "kserve": _kserve,
}


def _url(settings: Settings) -> str:
    if not settings.speech_url:
        raise SettingsError(f"the speech engine {settings.speech_engine} needs AFFECTSTREAM_SPEECH_URL")
    return settings.speech_url


def _say_where(settings: Settings) -> None:
    log.info("speech: sound goes to %s; its model's licence is its operator's affair", settings.speech_url)
