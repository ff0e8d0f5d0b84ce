"""PyFlink's DataStream API: event-time tumbling windows, then a keyed process function with state.

``python -m benchmarks.fusion.pyflink BOOTSTRAP SIGNALS FRAMES JAR``. The job runs in Flink's local cluster, in this
process's children. Tuned: one slot, large bundles between the JVM and Python. Bytes travel as ISO-8859-1 strings, the
one schema of PyFlink's that keeps them whole.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pyflink.common import Configuration, Duration, Types, WatermarkStrategy  # type: ignore[import-not-found]
from pyflink.common.serialization import SimpleStringSchema  # type: ignore[import-not-found]
from pyflink.common.time import Time  # type: ignore[import-not-found]
from pyflink.common.watermark_strategy import TimestampAssigner  # type: ignore[import-not-found]
from pyflink.datastream import StreamExecutionEnvironment  # type: ignore[import-not-found]
from pyflink.datastream.connectors.kafka import (  # type: ignore[import-not-found]
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.functions import (  # type: ignore[import-not-found]
    KeyedProcessFunction,
    ProcessWindowFunction,
    RuntimeContext,
)
from pyflink.datastream.state import ValueStateDescriptor  # type: ignore[import-not-found]
from pyflink.datastream.window import TumblingEventTimeWindows  # type: ignore[import-not-found]

from benchmarks.fusion.windowed import GRACE_MS, WINDOW_MS, Sample, Session, Window, decode, event_time_ms

BYTES: Final = "ISO-8859-1"


class EventTime(TimestampAssigner):  # type: ignore[misc]  # its package is in another environment
    """A window a tick."""

    def extract_timestamp(self, value: Sample, record_timestamp: int) -> int:
        del record_timestamp
        return event_time_ms(value)


class Newest(ProcessWindowFunction):  # type: ignore[misc]
    """The newest sample of each modality in a closed window."""

    def process(self, key: str, context: Any, elements: Iterable[Sample]) -> Iterable[tuple[str, int, Window]]:
        content = Window()
        for sample in elements:
            content.add(sample)
        yield key, context.window().start // WINDOW_MS, content


class Fuse(KeyedProcessFunction):  # type: ignore[misc]
    """One frame a closed window; the session's state in Flink's."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self._state = runtime_context.get_state(ValueStateDescriptor("session", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: tuple[str, int, Window], ctx: Any) -> Iterable[str]:
        del ctx
        key, window, content = value
        session = self._state.value() or Session()
        frame = session.tick(key, window, content)
        self._state.update(session)
        if frame is not None:
            yield frame.decode(BYTES)


def main(bootstrap: str, signals: str, frames: str, jar: str) -> None:
    config = Configuration()
    config.set_string("pipeline.jars", Path(jar).as_uri())
    config.set_string("python.executable", sys.executable)
    config.set_string("python.client.executable", sys.executable)
    config.set_integer("python.fn-execution.bundle.size", 10_000)
    environment = StreamExecutionEnvironment.get_execution_environment(config)
    environment.set_parallelism(1)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(bootstrap)
        .set_topics(signals)
        .set_group_id(f"flink-{signals}")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_property("isolation.level", "read_committed")
        .set_value_only_deserializer(SimpleStringSchema(BYTES))
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(bootstrap)
        .set_property("linger.ms", "5")
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic(frames)
            .set_value_serialization_schema(SimpleStringSchema(BYTES))
            .build()
        )
        .build()
    )
    watermarks = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(GRACE_MS))
    (
        environment.from_source(source, WatermarkStrategy.no_watermarks(), "signals")
        .map(lambda text: decode(text.encode(BYTES)))
        .assign_timestamps_and_watermarks(watermarks.with_timestamp_assigner(EventTime()))
        .key_by(lambda sample: sample.session, key_type=Types.STRING())
        .window(TumblingEventTimeWindows.of(Time.milliseconds(WINDOW_MS)))
        .process(Newest())
        .key_by(lambda item: item[0], key_type=Types.STRING())
        .process(Fuse(), output_type=Types.STRING())
        .sink_to(sink)
    )
    print("READY", flush=True)
    environment.execute("fusion")


if __name__ == "__main__":
    main(*sys.argv[1:5])
