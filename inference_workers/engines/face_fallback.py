"""A face engine with the embedded one behind it: a picture that the first fails on is answered all the same.

Networks of a face run in the worker's own thread, so there is no lateness to wait for, as there is with a speech engine
(:mod:`inference_workers.engines.fallback`): an exception is all that can be told. Each picture is tried anew, for what
a network chokes on is mostly one picture. The session's state is the same with both: nobody loses his number.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from inference_workers.engines.protocols import FaceEngine, FaceInput, FaceOutput
from runtime.metrics import Metrics

log = logging.getLogger(__name__)


class FallbackFace:
    """A :class:`~inference_workers.engines.protocols.FaceEngine`; what the embedded engine answers is marked so."""

    def __init__(self, primary: FaceEngine, embedded: FaceEngine, metrics: Metrics) -> None:
        """Both must take each other's state: they are one engine with other detectors and heads."""
        self._primary = primary
        self._embedded = embedded
        self._metrics = metrics
        self._failing = False
        self._tell()

    @property
    def source(self) -> str:
        """The primary's."""
        return self._primary.source

    @property
    def max_batch(self) -> int:
        return self._primary.max_batch

    def warm_up(self) -> None:
        """Warm both up; whatever the primary raises ends the start."""
        self._embedded.warm_up()
        self._primary.warm_up()

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        return [self._one(each) for each in batch]

    def _one(self, given: FaceInput) -> FaceOutput:
        try:
            (output,) = self._primary.infer([given])
        except Exception as error:  # noqa: BLE001 - an engine may raise anything
            self._metrics.count("engine_failures_total", engine=self._primary.source)
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(
                level, "%s fails on a picture, %s answers: %s: %s",
                self._primary.source, self._embedded.source, type(error).__name__, error,
            )  # fmt: skip
            self._say(failing=True)
            (answer,) = self._embedded.infer([given])
            return replace(
                answer, signal=replace(answer.signal, degraded=True), source=self._embedded.source
            )  # fmt: skip
        self._say(failing=False)
        return output

    def _say(self, *, failing: bool) -> None:
        if failing != self._failing:
            self._failing = failing
            self._tell()

    def _tell(self) -> None:
        self._metrics.set("engine_degraded", float(self._failing), engine=self._primary.source)
