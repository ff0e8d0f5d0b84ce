"""How many records wait in Kafka, shown once a second, also while ClickHouse is away."""

from collections.abc import Mapping
from typing import Final

from analytics.pending import Position
from runtime.clock import Clock
from runtime.kafka import Consumer, KafkaException, TopicPartition, consumer
from runtime.metrics import Metrics
from runtime.settings import Settings
from schemas.topics import Topic

GROUP: Final = "analytics"
"""Offsets are committed under this group for lag tools to see; the sink itself never reads them."""
SHOW_EVERY_US: Final = 1_000_000


class LagGauge:
    """Sets ``lag_records`` by partition. Owned by the sink's thread."""

    def __init__(
        self, settings: Settings, metrics: Metrics, clock: Clock, positions: Mapping[tuple[Topic, int], Position]
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._positions = positions
        self._shown_at_us = 0
        self._watcher = consumer(settings, GROUP + "-lag")

    def show(self, reading: Consumer | None = None) -> None:
        """Show the lag if a second has passed.

        ``reading``: the consumer that reads, whose latest fetches say where topics end. Without it the broker is asked,
        by a consumer of its own: the reading one would answer after its long poll only.
        """
        now_us = self._clock.now_us()
        if now_us - self._shown_at_us < SHOW_EVERY_US:
            return
        self._shown_at_us = now_us
        asked = self._watcher if reading is None else reading
        for (topic, partition), position in self._positions.items():
            place = TopicPartition(self._settings.topic(topic), partition)
            try:
                low, high = asked.get_watermark_offsets(place, timeout=1.0, cached=reading is not None)
            except KafkaException:
                return  # Kafka is away: the last lag shown stays
            if high < 0:
                continue
            waiting = high - max(position.next, low, 0)
            self._metrics.set("lag_records", max(0, waiting), topic=topic, partition=str(partition))

    def close(self) -> None:
        """Close its consumer."""
        self._watcher.close()
