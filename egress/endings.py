"""Ends of sessions that this process did not read, as nobody watched them then: looked for in ``client.events``."""

import logging
import time
from typing import Final

from runtime.errors import BrokerError
from runtime.kafka import KafkaException, TopicPartition, consumer
from runtime.logs import session_tag
from runtime.settings import Settings
from runtime.topics import murmur2_partition, partition_count
from schemas.bulk import derive_layout
from schemas.codec import Codec, DecodeError, parsed_schema
from schemas.records import ClientEvent
from schemas.topics import CLIENT_EVENTS
from schemas.varints import CONTINUED, EIGHT_BYTES

log = logging.getLogger(__name__)

MAX_RECORDS: Final = 300_000
"""No more of a partition is looked through, the newest: some seconds of reading, an hour of 80 viewers' acks."""

MAX_AGE_US: Final = 24 * 3_600 * 1_000_000
DEADLINE_S: Final = 20.0
BATCH: Final = 5_000
_INSTANTS_BYTES: Final = 16
_CONTINUED: Final = CONTINUED << 64 | CONTINUED
_EIGHT_BYTES: Final = EIGHT_BYTES << 64 | EIGHT_BYTES
"""Of two instants beside each other."""


class EndReader:
    """Reads ends of sessions from values of ``client.events``.

    Nearly all events are others, acknowledgements once a second. Those are told by the byte that says their kind: it
    has one place as long as the instants before it have eight bytes each, as those of our age do (:mod:`schemas.bulk`).
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._prefix = codec.prefix(ClientEvent)
        layout = derive_layout("ClientEvent", self._prefix)
        assert layout.dtype.fields is not None
        assert layout.instants.stop - layout.instants.start == _INSTANTS_BYTES
        self._instants = layout.instants
        self._kind_at = int(layout.dtype.fields["kind"][1])
        (kind,) = [field["type"] for field in parsed_schema("ClientEvent")["fields"] if field["name"] == "kind"]
        self._others = {2 * number for number, name in enumerate(kind["symbols"]) if name != "session_ended"}

    def ended(self, value: bytes | None) -> str:
        """The session that is over; empty: the event is another one, or cannot be read."""
        if value is None or self._is_another(value):
            return ""
        try:
            event = self._codec.decode(ClientEvent, value)
        except DecodeError:
            return ""  # whoever keeps client events counts it
        return event.session_id if event.kind == "session_ended" else ""

    def _is_another(self, value: bytes) -> bool:
        return (
            len(value) > self._kind_at
            and value[self._kind_at] in self._others
            and value.startswith(self._prefix)
            and int.from_bytes(value[self._instants], "little") & _CONTINUED == _EIGHT_BYTES
        )


def has_ended(settings: Settings, session_id: str, since_us: int, now_us: int) -> bool:
    """Whether the edge has said that the session is over since ``since_us``, the last day at most.

    Blocks for some milliseconds, or seconds where much has been said. What cannot be read counts as: not ended.
    """
    name, key = settings.topic(CLIENT_EVENTS), session_id.encode()
    until = time.monotonic() + DEADLINE_S
    ends = EndReader(Codec())
    try:
        partition = murmur2_partition(key, partition_count(settings, CLIENT_EVENTS))
        source = consumer(settings, f"egress-endings-{settings.instance}")
    except (BrokerError, KafkaException) as error:
        log.warning("whether session %s has ended cannot be looked up: %s", session_tag(session_id), error)
        return False
    try:
        low, high = source.get_watermark_offsets(TopicPartition(name, partition), timeout=DEADLINE_S)
        since_ms = max(since_us, now_us - MAX_AGE_US) // 1_000
        (place,) = source.offsets_for_times([TopicPartition(name, partition, since_ms)], timeout=DEADLINE_S)
        at = max(place.offset if place.offset >= 0 else high, high - MAX_RECORDS, low)
        source.assign([TopicPartition(name, partition, at)])
        while at < high and time.monotonic() < until:
            for message in source.consume(BATCH, 0.5):
                if message.error() is not None:
                    continue
                at = (message.offset() or 0) + 1
                if message.key() in {key, session_id} and ends.ended(message.value()):
                    return True
    except (BrokerError, KafkaException) as error:
        log.warning("whether session %s has ended cannot be looked up: %s", session_tag(session_id), error)
    finally:
        source.close()
    return False
