"""A speech engine with the embedded one behind it: whatever happens to the first, a window is answered in time.

The primary is asked on a thread of its own and has a budget of time. When it fails or is late, the embedded engine
answers the same windows, marked as degraded, and all that follow, until a probe shows that the primary is back
(:mod:`inference_workers.failover`). A probe costs nothing but the primary's own time.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

from inference_workers.engines.protocols import Samples, SpeechEmotion, SpeechEngine
from inference_workers.failover import Ask, Failover, State
from runtime.clock import Clock
from runtime.errors import ModelError, PrerequisiteError, SettingsError
from runtime.metrics import Metrics

log = logging.getLogger(__name__)

STUCK_US: Final = 10_000_000

Answers = Sequence[SpeechEmotion]


def do_nothing() -> None:
    """For engines that always come back, because they have time limits of their own."""


@dataclass(frozen=True, slots=True)
class _Call:
    windows: Sequence[Samples]
    began_at_us: int
    answers: "Future[tuple[Answers, int]]"
    """With the instant at which they came."""


class FallbackSpeech:
    """A :class:`~inference_workers.engines.protocols.SpeechEngine`; every answer says whose it is."""

    def __init__(
        self,
        primary: SpeechEngine,
        embedded: SpeechEngine,
        clock: Clock,
        metrics: Metrics,
        *,
        budget_s: float,
        on_stuck: Callable[[], None] = do_nothing,
    ) -> None:
        """``budget_s``: how long the primary may take for a batch; the caller never waits much longer.

        ``on_stuck`` is called when the primary has been at one batch for :data:`STUCK_US`: it will not come back.
        """
        self._primary = primary
        self._embedded = embedded
        self._clock = clock
        self._metrics = metrics
        self._budget_us = round(budget_s * 1e6)
        self._on_stuck = on_stuck
        self._failover = Failover()
        self._call: _Call | None = None  # the last one: a thread that hangs takes no other
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        # A daemon: an engine that hangs must not keep the process from ending.
        threading.Thread(target=self._work, name="primary-engine", daemon=True).start()
        self._tell()

    @property
    def source(self) -> str:
        """The primary's: what is said before the first window."""
        return self._primary.source

    @property
    def max_batch(self) -> int:
        return self._primary.max_batch

    @property
    def degraded(self) -> bool:
        """Whether the embedded engine answers."""
        return self._failover.state is not State.HEALTHY

    def warm_up(self) -> None:
        """Warm both up. A primary that cannot be reached now is suspended: it may come later.

        Raises what will not mend by itself: SettingsError, PrerequisiteError, ModelError.
        """
        self._embedded.warm_up()
        try:
            self._primary.warm_up()
        except (SettingsError, PrerequisiteError, ModelError):
            raise
        except Exception as error:  # noqa: BLE001 - an engine may raise anything
            self._fail(f"{type(error).__name__}: {error}")

    def infer(self, windows: Sequence[Samples]) -> Answers:
        self._hear_probe()
        ask = self._failover.ask(self._clock.now_us())
        if ask is Ask.PRIMARY:
            answers = self._ask_primary(windows)
            if answers is not None:
                return [replace(each, source=each.source or self._primary.source) for each in answers]
        elif ask is Ask.STAND_IN_AND_PROBE:
            self._probe(windows)
        return [
            replace(each, source=self._embedded.source, degraded=True) for each in self._embedded.infer(windows)
        ]  # fmt: skip

    def _ask_primary(self, windows: Sequence[Samples]) -> Answers | None:
        """The primary's answers, or None if it fails or is late: then it is suspended."""
        call = self._begin(windows)
        try:
            answers, _ = call.answers.result(self._budget_us / 1e6)
        except TimeoutError:
            self._fail(f"no answer within {self._budget_us / 1e3:.0f} ms")
        except Exception as error:  # noqa: BLE001 - an engine may raise anything
            self._fail(f"{type(error).__name__}: {error}")
        else:
            return answers
        return None

    def _probe(self, windows: Sequence[Samples]) -> None:
        if self._call is not None and not self._call.answers.done():
            self._fail("still at the windows of before")
            if self._clock.now_us() - self._call.began_at_us > STUCK_US:
                log.error("%s hangs", self._primary.source)
                self._on_stuck()
            return
        self._begin(windows)

    def _hear_probe(self) -> None:
        """Whether a probe has come back, and how."""
        call = self._call
        if call is None or self._failover.state is not State.PROBED:
            return
        now_us = self._clock.now_us()
        if not call.answers.done():
            if now_us - call.began_at_us > self._budget_us:
                self._fail("a probe is not answered in time")
            return
        error = call.answers.exception()
        if error is not None:
            self._fail(f"{type(error).__name__}: {error}")
        elif call.answers.result()[1] - call.began_at_us > self._budget_us:
            self._fail("a probe was answered too late")
        else:
            self._failover.recovered(now_us)
            log.info("%s answers again", self._primary.source)
            self._tell()

    def _begin(self, windows: Sequence[Samples]) -> _Call:
        self._call = _Call(windows, self._clock.now_us(), Future())
        self._calls.put(self._call)
        return self._call

    def _work(self) -> None:
        """The primary's thread."""
        while True:
            call = self._calls.get()
            try:
                answers = self._primary.infer(call.windows)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                call.answers.set_exception(error)
                continue
            if len(answers) == len(call.windows):
                call.answers.set_result((answers, self._clock.now_us()))
            else:
                call.answers.set_exception(ValueError(f"{len(answers)} answers for {len(call.windows)} windows"))

    def _fail(self, why: str) -> None:
        was_degraded = self.degraded
        self._failover.failed(self._clock.now_us())
        self._metrics.count("engine_failures_total", engine=self._primary.source)
        level = logging.DEBUG if was_degraded else logging.WARNING
        log.log(level, "%s fails, %s answers: %s", self._primary.source, self._embedded.source, why)
        self._tell()

    def _tell(self) -> None:
        self._metrics.set("engine_degraded", float(self.degraded), engine=self._primary.source)
