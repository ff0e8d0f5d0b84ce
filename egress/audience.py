"""The viewers of one process, whatever carries their messages: what they are sent, what they say, what is counted."""

import asyncio
import contextlib
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from egress.endings import has_ended
from egress.events import Events
from egress.frame_batches import FrameColumns
from egress.frames import Frame
from egress.hub import Close, Hub, Tally, Viewer, Wires
from egress.projection import Instants, hop_spans_s
from egress.relay import Relay
from runtime.clock import Clock
from runtime.kafka import Publisher
from runtime.ledger import Ledger
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.close_codes import CloseCode
from schemas.codec import Codec
from schemas.vocabulary import EMOTIONS, Outcome, Stage

MODALITY: Final = "avatar"
"""The ledger's word for what egress deals in: one frame to one viewer."""

MESSAGES_PER_S: Final = 70.0
MESSAGES_BURST: Final = 200.0
MAX_LOOKS: Final = 100
"""So many sessions at once are looked up whether they have ended; viewers of more see a silent one."""

OBSERVE_EVERY_US: Final = 50_000
SWEEP_S: Final = 0.1
LEDGER_S: Final = 1.0
LEDGER_AT_LEAST: Final = 50
"""So many sessions' entries, or a tenth of all, are written at a time: those of thousands at once hold frames up."""


class Violation(Exception):  # noqa: N818 - it ends the connection, by intent
    """A viewer broke the protocol; close with this code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Audience:
    """Viewers on one side, the relay on the other. Used in the event loop's thread only."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics, wires: Wires) -> None:
        self._clock = clock
        self._metrics = metrics
        self._encoders = wires.encoders
        self._codec = Codec()
        self._rendered = metrics.observer("hop_seconds", hop="tick_to_rendered")
        self._publisher = Publisher(settings, metrics, linger_ms=20)
        self._ledger = Ledger(self._publisher, self._codec, clock, Stage.EGRESS, metrics)
        self._settings = settings
        self._observed_us = 0
        self._looking: set[asyncio.Task[None]] = set()
        self._one_look = asyncio.Semaphore(1)
        self._interest: Counter[str] = Counter()
        self._unwritten: deque[tuple[str, Tally]] = deque()
        """What the ledger has still to be told."""
        self._share = LEDGER_AT_LEAST
        self.hub = Hub(wires)
        self.relay = Relay(settings, clock, metrics, self._publisher, deliver=self._deliver, ended=self.hub.end)

    def interested(self, session_id: str, change: int) -> None:
        """One viewer more or less of a session."""
        self._interest[session_id] += change
        if not self._interest[session_id]:
            del self._interest[session_id]
        self.relay.watch(self._interest)

    def welcome(self, viewer: Viewer) -> None:
        """Say that every frame published from now on comes: call it once the relay reads the session."""
        self.write(
            viewer,
            {
                "type": "welcome",
                "session_id": viewer.session_id,
                "server_us": self._clock.now_us(),
                "format": viewer.format,
            },
        )

    def join(self, viewer: Viewer) -> Events:
        """Send the viewer frames from now on; returns what its events are written with."""
        self.hub.join(viewer, self._clock.now_us())
        events = Events(self._codec, self._clock, self._publisher, viewer)
        events.write("viewer_joined")
        return events

    def leave(self, viewer: Viewer, events: Events) -> None:
        """Send the viewer nothing more."""
        self.hub.leave(viewer)
        events.write("viewer_left", value=float(viewer.skipped))

    def write(self, viewer: Viewer, message: Mapping[str, Any]) -> None:
        """Send the viewer one message."""
        viewer.sink.write(self._encoders[viewer.format]([message]))

    def pong(self, ping: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to ``ping``."""
        return {"type": "pong", "client_us": ping.get("client_us"), "server_us": self._clock.now_us()}

    def take(self, viewer: Viewer, events: Events, message: Mapping[str, Any]) -> None:
        """Take a viewer's message; raises Violation."""
        kind = message.get("type")
        if kind == "ping":
            self.write(viewer, self.pong(message))
        elif kind == "ack":
            sequence = _whole(message, "sequence")
            captured_us, relayed_us = self.hub.relayed(viewer.session_id, sequence) or (None, None)
            rendered_us = _whole(message, "rendered_at_us") if "rendered_at_us" in message else None
            events.write(
                "ack",
                frame_sequence=sequence,
                frame_captured_at_us=captured_us,
                relayed_at_us=relayed_us,
                rendered_at_us=rendered_us,
            )
            if viewer.variant and captured_us is not None and rendered_us is not None:
                # The first frame that was on the screen: from now on the viewer has seen the variant.
                events.write("exposure", frame_sequence=sequence, detail=viewer.variant)
                viewer.variant = ""
            if captured_us is not None and rendered_us is not None and 0 <= rendered_us - captured_us <= 60_000_000:
                self._rendered((rendered_us - captured_us) / 1e6)
        elif kind == "rating":
            value, felt = message.get("value"), message.get("felt")
            told = value is None and felt is not None  # only what is felt, without a rating
            if not told and (not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 5):
                raise Violation(CloseCode.MALFORMED, "rating: value must be a number from 1 to 5")
            rated = _whole(message, "sequence") if "sequence" in message else None
            if felt is not None and felt not in EMOTIONS:
                raise Violation(CloseCode.MALFORMED, f"rating: felt must be one of {', '.join(EMOTIONS)}")
            events.write("rating", value=None if value is None else float(value), frame_sequence=rated, detail=felt)
        else:
            raise Violation(CloseCode.MALFORMED, "unknown type of message: ack, rating and ping are known")

    async def sweep(self, close: Close) -> None:
        """Look after viewers and the ledger until cancelled; raises DeliveryFailed if entries or events were lost."""
        rounds = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            self.hub.sweep(self._clock.now_us(), close)
            for session_id, started_at_us in self.hub.take_unheard().items():
                self._look_for_end(session_id, started_at_us)
            self._metrics.set("clients_connected", self.hub.count, kind="viewer")
            self._metrics.set("relay_backlog_seconds", self.relay.behind_s())
            rounds += 1
            if rounds * SWEEP_S >= LEDGER_S:
                rounds = 0
                self._take_tallies()
            await self._write_ledger(self._share)

    def _look_for_end(self, session_id: str, started_at_us: int) -> None:
        """Have those who came after a session's end told so, though this process did not read of it."""

        async def look() -> None:
            async with self._one_look:
                if await asyncio.to_thread(has_ended, self._settings, session_id, started_at_us, self._clock.now_us()):
                    self.hub.end(session_id)

        if len(self._looking) < MAX_LOOKS:
            task = asyncio.create_task(look())
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def close(self) -> None:
        """Stop reading and write what is left of the ledger."""
        for task in list(self._looking):
            task.cancel()
        await asyncio.to_thread(self.relay.stop)
        self._take_tallies()
        await self._write_ledger(len(self._unwritten))
        await asyncio.to_thread(self._publisher.flush, 10.0)

    def _take_tallies(self) -> None:
        taken = self.hub.take_tallies()
        self._unwritten.extend(taken)
        self._share = max(LEDGER_AT_LEAST, math.ceil(len(taken) * SWEEP_S / LEDGER_S))

    async def _write_ledger(self, share: int) -> None:
        """Write the entries of so many sessions, those first that have waited longest."""
        if not self._unwritten:
            self._publisher.poll()
            return
        used = 0
        for _ in range(min(share, len(self._unwritten))):
            session_id, tally = self._unwritten.popleft()
            for outcome, count in (
                (Outcome.USED, tally.used),
                (Outcome.SLOW_CLIENT, tally.slow_client),
                (Outcome.DUPLICATE, tally.duplicate),
            ):
                if count:
                    self._ledger.note(session_id, MODALITY, outcome.value, count=count)
            used += tally.used
        self._metrics.count("records_out_total", used, topic=MODALITY)
        await asyncio.to_thread(self._ledger.flush)

    def _deliver(self, batch: FrameColumns | Sequence[Frame]) -> None:
        delivered = self.hub.deliver_all(batch, self._clock.now_us)
        # One frame now and then: its thirteen spans cost as much to observe as the frame to send.
        if delivered is not None and delivered[1] - self._observed_us >= OBSERVE_EVERY_US:
            frame, now_us = delivered
            self._observed_us = now_us
            for hop, span in hop_spans_s(frame.record(), Instants(frame.fused_at_us, now_us)):
                self._metrics.observe("hop_seconds", span, hop=hop)


def parsed(text: str | bytes) -> Mapping[str, Any]:
    """A viewer's message; raises Violation."""
    with contextlib.suppress(orjson.JSONDecodeError):
        message = orjson.loads(text) if isinstance(text, str) else None
        if isinstance(message, dict):
            return message
    raise Violation(CloseCode.MALFORMED, "send text messages that are JSON objects")


def _whole(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise Violation(CloseCode.MALFORMED, f"{name} must be a whole number from 0")
    return value
