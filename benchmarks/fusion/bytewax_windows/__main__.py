"""Bytewax as its documentation shows it: Kafka source, fold_window over an event clock, stateful_map, Kafka sink.

``python -m benchmarks.fusion.bytewax_windows BOOTSTRAP SIGNALS FRAMES WAIT_S``. Tuned: large batches from Kafka, no
sorting within windows (``ordered=False``: the log is in order), no wake-ups for past event times, which would keep
the loop busy. The event clock's wait decides what is lost: its watermark also moves with the system's clock.
"""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from benchmarks.fusion.windowed import WINDOW_MS, Sample, Session, Window, decode, event_time_ms, warm

BATCH: Final = 1_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def flow_of(bootstrap: str, signals: str, frames: str, wait: timedelta) -> Dataflow:
    end_ms = 10 * WINDOW_MS + round(wait / timedelta(milliseconds=1))

    def read(message: KafkaSourceMessage[Any, Any]) -> tuple[str, Sample]:
        sample = decode(message.value)
        return sample.session, sample

    def instant(sample: Sample) -> datetime:
        return EPOCH + timedelta(milliseconds=event_time_ms(sample, end_ms))

    def tick(state: Session | None, closed: tuple[int, Window]) -> tuple[Session, tuple[int, Window, Session]]:
        state = state or Session()
        return state, (closed[0], closed[1], state)

    def frame(item: tuple[str, tuple[int, Window, Session]]) -> KafkaSinkMessage[bytes, bytes] | None:
        session, (window, content, state) = item
        value = state.tick(session, window, content)
        return None if value is None else KafkaSinkMessage(session.encode(), value)

    flow = Dataflow("fusion")
    source = KafkaSource(
        [bootstrap], [signals], tail=True, batch_size=BATCH, add_config={"broker.address.family": "v4"}
    )
    messages = op.input("signals", flow, source)
    samples = op.map("decode", messages, read)
    closed = win.fold_window(
        "window",
        samples,
        win.EventClock(instant, wait_for_system_duration=wait, to_system_utc=lambda _: None),
        win.TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=EPOCH),
        Window,
        Window.add,
        Window.merge,
        ordered=False,
    )
    ticks = op.stateful_map("session", closed.down, tick)
    out = op.filter_map("fuse", ticks, frame)
    sink = KafkaSink(
        [bootstrap],
        frames,
        add_config={"broker.address.family": "v4", "partitioner": "murmur2_random", "enable.idempotence": "true"},
    )
    op.output("frames", out, sink)
    return flow


if __name__ == "__main__":
    warm()
    print("READY", flush=True)
    cli_main(flow_of(sys.argv[1], sys.argv[2], sys.argv[3], timedelta(seconds=float(sys.argv[4]))))
