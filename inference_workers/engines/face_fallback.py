"""A face engine with the embedded one behind it: a picture that the first fails on is answered all the same.

Networks of a face run in the worker's own thread, so there is no lateness to wait for, as there is with a speech engine
(:mod:`inference_workers.engines.fallback`): an exception is all that can be told. Each picture is tried anew, for what
a network chokes on is mostly one picture. The session's state is the same with both: nobody loses his number.

A server that networks are asked of is another matter: when it is away, every picture would wait for it. So after one
ModelServerError the embedded engine answers all pictures, until the other, warmed up anew beside it on a thread of its
own, is found to be back (:mod:`inference_workers.failover`).
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from inference_workers.engines.protocols import FaceEngine, FaceInput, FaceOutput
from inference_workers.failover import Ask, Failover, State
from runtime.clock import Clock
from runtime.errors import ModelError, ModelServerError
from runtime.metrics import Metrics

log = logging.getLogger(__name__)


class FallbackFace:
    """A :class:`~inference_workers.engines.protocols.FaceEngine`; what the embedded engine answers is marked so."""

    def __init__(self, primary: FaceEngine, embedded: FaceEngine, clock: Clock, metrics: Metrics) -> None:
        """Both must take each other's state: they are one engine with other detectors and heads."""
        self._primary = primary
        self._embedded = embedded
        self._clock = clock
        self._metrics = metrics
        self._failing = False
        self._failover = Failover()
        self._probe: Future[None] | None = None
        self._tell()

    @property
    def source(self) -> str:
        """The primary's."""
        return self._primary.source

    @property
    def max_batch(self) -> int:
        return self._primary.max_batch

    def warm_up(self) -> None:
        """Warm both up; whatever the primary raises ends the start, but for a server that is away: it may come."""
        self._embedded.warm_up()
        try:
            self._primary.warm_up()
        except ModelServerError as error:
            self._suspend(error)

    def infer(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        self._hear_probe()
        ask = self._failover.ask(self._clock.now_us())
        if ask is Ask.STAND_IN_AND_PROBE:
            self._begin_probe()
        if ask is not Ask.PRIMARY:
            return self._stand_in(batch)
        try:
            outputs = self._primary.infer(batch)
        except ModelServerError as error:
            self._suspend(error)
            return self._stand_in(batch)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything
            if len(batch) > 1:
                return [output for each in batch for output in self.infer([each])]
            self._fail(error)
            return self._stand_in(batch)
        self._say(failing=False)
        return outputs

    def _stand_in(self, batch: Sequence[FaceInput]) -> Sequence[FaceOutput]:
        answers = [answer for each in batch for answer in self._embedded.infer([each])]
        return [
            replace(answer, signal=replace(answer.signal, degraded=True), source=self._embedded.source)
            for answer in answers
        ]

    def _suspend(self, error: Exception) -> None:
        self._failover.failed(self._clock.now_us())
        self._fail(error)

    def _begin_probe(self) -> None:
        """Warm the primary up on a thread of its own, for it may wait for its server; nobody else uses it meanwhile."""
        probe: Future[None] = Future()
        self._probe = probe

        def warm_up() -> None:
            try:
                self._primary.warm_up()
            except BaseException as error:  # noqa: BLE001 - handed to whoever asks
                probe.set_exception(error)
            else:
                probe.set_result(None)

        # A daemon: a server that hangs must not keep the process from ending.
        threading.Thread(target=warm_up, name="face-engine-probe", daemon=True).start()

    def _hear_probe(self) -> None:
        """Whether a probe has come back, and how. One that is under way is waited for by nobody."""
        if self._failover.state is not State.PROBED or self._probe is None or not self._probe.done():
            return
        error = self._probe.exception()
        if error is None:
            self._failover.recovered(self._clock.now_us())
            log.info("%s answers again", self._primary.source)
        else:
            self._failover.failed(self._clock.now_us())
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._metrics.count("engine_failures_total", engine=self._primary.source)
        # What goes on is said once; that a server came back with another model than the description's, each time.
        level = logging.DEBUG if self._failing and not isinstance(error, ModelError) else logging.WARNING
        log.log(
            level, "%s fails on a picture, %s answers: %s: %s",
            self._primary.source, self._embedded.source, type(error).__name__, error,
        )  # fmt: skip
        self._say(failing=True)

    def _say(self, *, failing: bool) -> None:
        if failing != self._failing:
            self._failing = failing
            self._tell()

    def _tell(self) -> None:
        self._metrics.set("engine_degraded", float(self._failing), engine=self._primary.source)
