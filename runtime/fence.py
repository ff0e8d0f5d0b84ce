"""Offsets committed by one holder of a name: Kafka itself refuses everybody who held the name before."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from runtime.errors import BrokerError, Fenced
from runtime.kafka import common_config, consumer
from runtime.settings import Settings

log = logging.getLogger(__name__)

FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - its public name
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
TRANSACTION_MS: Final = 10_000
"""After so long Kafka gives up a commit whose holder died in the middle of it."""
CALL_S: Final = 5.0


class FencedCommits:
    """The newest holder of ``name``, which is a Kafka transactional id and gets the topic prefix.

    Being made takes the name from whoever held it, on whatever machine: their next commit raises Fenced. Not
    thread-safe. Every method blocks for its network calls, at most ``deadline_s``.
    """

    def __init__(self, settings: Settings, name: str, group: str, *, deadline_s: float = 30.0) -> None:
        self._producer = Producer(
            {
                **common_config(settings),
                # Beginning anew from the given addresses, it would lose its coordinator for good. Without that it
                # may lose every broker: then commits fail at their deadline, and whoever makes them makes this anew.
                "metadata.recovery.strategy": "none",
                "transactional.id": settings.topic_prefix + name,
                "transaction.timeout.ms": TRANSACTION_MS,
                "log_level": 0,  # librdkafka would call being fenced an emergency: we say it ourselves
            }
        )
        member = consumer(settings, group)
        try:
            self._group = member.consumer_group_metadata()
        finally:
            member.close()
        until = time.monotonic() + deadline_s
        self._call(lambda: self._producer.init_transactions(CALL_S), until)

    def commit(self, topic: str, offsets: Mapping[int, int], metadata: str, *, deadline_s: float = 10.0) -> None:
        """Commit next offsets by partition, with ``metadata`` beside each: all of them or none.

        Raises Fenced if the name has a newer holder, BrokerError if Kafka does not take them until the deadline.
        """
        until = time.monotonic() + deadline_s
        places = [TopicPartition(topic, partition, offset, metadata) for partition, offset in offsets.items()]
        self._producer.begin_transaction()
        try:
            self._call(lambda: self._producer.send_offsets_to_transaction(places, self._group, CALL_S), until)
            self._call(lambda: self._producer.commit_transaction(CALL_S), until)
        except Fenced:
            raise
        except BrokerError:
            self._call(lambda: self._producer.abort_transaction(CALL_S), until + CALL_S)
            raise

    @staticmethod
    def _call(request: Callable[[], object], until: float) -> None:
        """Make a request until it is answered: librdkafka's transactional calls are repeated, never done twice."""
        while True:
            try:
                request()
                return
            except KafkaException as error:
                reason = error.args[0]
                if reason.code() in FENCED:
                    raise Fenced(f"a newer holder has taken the name: {reason}") from error
                if not reason.retriable() or time.monotonic() > until:
                    raise BrokerError(f"offsets cannot be committed: {reason}") from error
                log.debug("committing offsets: %s", reason)
