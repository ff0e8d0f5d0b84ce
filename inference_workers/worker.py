"""The shell that both workers share: take records, let a processor work, publish, account, commit.

A worker is at-least-once. Offsets are committed about once a second and only after everything that came of the
records before them, the ledger's entries included, was acknowledged by the broker. So a killed worker re-reads at most
its last second and publishes that again, and fusion drops the repeats by their sequence.

The consumer is a static member of its group (``<role>-<instance>``): a worker that is restarted within the session
timeout gets its partitions back at once, without a rebalance. Two processes with the same role and instance fence each
other: the older one ends with BrokerError.

A broker that goes away is waited for: up to 120 s of output is held in the producer's bounded queue. After that
DeliveryFailed ends the process, and the next one begins at the last committed offset.

Sound and pictures come sealed with their session's keys (:mod:`runtime.keystore`) and are opened here. Where the key
was destroyed the item is accounted as erased, and what the processor knows of the session is let go of.
"""

import logging
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from inference_workers.processing import Processor, Taken
from runtime.clock import Clock
from runtime.errors import BrokerError, DeliveryFailed, KeyStoreError, SealBroken
from runtime.kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Publisher,
    TopicPartition,
    committed_offsets,
    consumer,
    is_fatal,
)
from runtime.keystore import PURPOSE_OF, KeyRing, key_store
from runtime.ledger import DeadLetterBox, Ledger
from runtime.lifecycle import Role
from runtime.registry import codec
from runtime.sealed_media import Media, opened, with_media
from schemas.codec import Codec, DecodeError
from schemas.records import Payload, Signal
from schemas.topics import CUT_KEY, SIGNALS, Topic
from schemas.vocabulary import Modality, Outcome, Stage

log = logging.getLogger(__name__)

FENCED_AGAIN_US: Final = 60_000_000
CHECKPOINT_US: Final = 1_000_000
LOOK_AT_KEYS_US: Final = 100_000
"""How often the key store is asked whether keys were destroyed."""
IDLE_POLL_S: Final = 0.1
TAKE_AT_MOST: Final = 500
STOP_FLUSH_S: Final = 5.0
COMMITTED_TIMEOUT_S: Final = 10.0

R = TypeVar("R", bound=Media)


class KafkaOutbox:
    """The outbox of a real worker."""

    def __init__(
        self,
        publisher: Publisher,
        wire: Codec,
        clock: Clock,
        ledger: Ledger,
        letters: DeadLetterBox,
        *,
        topic: Topic,
        modality: Modality,
        source: str,
    ) -> None:
        self._publisher = publisher
        self._codec = wire
        self._clock = clock
        self._ledger = ledger
        self._letters = letters
        self._topic = topic
        self._modality = modality
        self._source = source

    def signal(
        self, item: Taken[Media], *, sequence: int, captured_at_us: int, payload: Payload, source: str = ""
    ) -> None:
        record = item.record
        signal = Signal(
            captured_at_us=captured_at_us,
            received_at_us=record.received_at_us,
            ingested_at_us=record.ingested_at_us,
            consumed_at_us=item.consumed_at_us,
            inferred_at_us=self._clock.now_us(),
            payload=payload,
            sequence=sequence,
            session_id=record.session_id,
            source=source or self._source,
        )
        self._publisher.send_waiting(SIGNALS, record.session_id, self._codec.encode(signal))

    def account(self, item: Taken[Media], outcome: Outcome) -> None:
        if not item.accounted:
            self.note(item.record.session_id, outcome, item.record.sequence)

    def note(self, session_id: str, outcome: Outcome, sequence: int = -1, count: int = 1) -> None:
        self._ledger.note(session_id, self._modality.value, outcome.value, sequence, count)

    def dead_letter(self, item: Taken[Media], error: str) -> None:
        record = item.record
        self._letters.put_bytes(
            self._topic,
            partition=item.partition,
            offset=item.offset,
            key=record.session_id.encode(),
            value=self._codec.encode(with_media(record, b"")),
            error=error,
        )


class MemberFenced(BrokerError):  # noqa: N818 - a condition, and the field's word for it
    """The group has another member under this one's name, or believes so."""


class Worker(Generic[R]):
    """Runs one processor on one topic."""

    def __init__(
        self,
        role: Role,
        processor: Processor[R],
        *,
        topic: Topic,
        record_type: type[R],
        stage: Stage,
        modality: Modality,
        source: str,
    ) -> None:
        """``source`` is the engine's name and version, for example ``landmarker@1``."""
        self._role = role
        self._clock = role.clock
        self._processor = processor
        self._topic: Topic = topic
        self._record_type = record_type
        self._codec = codec(role.settings)
        self._publisher = Publisher(role.settings, role.metrics)
        self._ledger = Ledger(self._publisher, self._codec, self._clock, stage, role.metrics)
        self._letters = DeadLetterBox(self._publisher, self._codec, self._clock, stage, role.metrics)
        self._outbox = KafkaOutbox(
            self._publisher,
            self._codec,
            self._clock,
            self._ledger,
            self._letters,
            topic=topic,
            modality=modality,
            source=source,
        )
        self._purpose = PURPOSE_OF[modality]
        self._keys = KeyRing(key_store(role.settings.data_dir))
        self._looked_us = 0
        self._positions: dict[int, int] = {}  # next offset to take, of the partitions that are ours
        self._committed: dict[int, tuple[int, int]] = {}  # as last asked for: offset, and what is accounted below
        self._accounted: dict[int, int] = {}  # the same of earlier runs, as found in the group

    def run(self) -> None:
        """Work until ``role.stop`` is set; raises BrokerError (DeliveryFailed) if only a new process can go on.

        A member that the group has fenced joins anew: after a crash of the broker, a commit that was under way can be
        taken for another process's. Fenced again within a minute, it is another process, and this one ends.
        """
        rejoined_us: int | None = None
        while True:
            try:
                self._be_member()
            except MemberFenced as error:
                if rejoined_us is not None and self._clock.now_us() - rejoined_us < FENCED_AGAIN_US:
                    raise
                log.warning("%s; joins anew", error)
                self._on_lost(None, [TopicPartition(self._topic, number) for number in list(self._positions)])
                rejoined_us = self._clock.now_us()
            else:
                return

    def _be_member(self) -> None:
        """Be a member of the group until ``role.stop`` is set; raises MemberFenced."""
        settings = self._role.settings
        stage = self._role.name
        feed = consumer(
            settings,
            stage,
            group_instance_id=f"{stage}-{settings.instance}",
            partition_assignment_strategy="cooperative-sticky",
            on_commit=self._on_commit,
        )
        feed.subscribe(
            [settings.topic(self._topic)], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        log.info("takes %s as %s-%s", settings.topic(self._topic), stage, settings.instance)
        try:
            self._loop(feed)
            self._finish(feed)
        finally:
            self._role.metrics.ready(False)
            feed.close()

    def _loop(self, feed: Consumer) -> None:
        due_us: int | None = None
        checkpoint_us = self._clock.now_us() + CHECKPOINT_US
        while not self._role.stop.is_set():
            now_us = self._clock.now_us()
            wait_s = IDLE_POLL_S if due_us is None else min(max((due_us - now_us) / 1e6, 0.0), IDLE_POLL_S)
            self._look_at_keys()
            self._take(feed, wait_s)
            due_us = self._processor.run(self._clock.now_us(), self._outbox)
            self._publisher.poll()
            if self._clock.now_us() >= checkpoint_us:
                self._checkpoint(feed)
                self._report_lag(feed)
                checkpoint_us = self._clock.now_us() + CHECKPOINT_US

    def _take(self, feed: Consumer, wait_s: float) -> None:
        """Take what has come, at most what the processor has room for; wait for the first record only."""
        room = min(self._processor.room(), TAKE_AT_MOST)
        if room <= 0:
            return  # nobody polls, so no rebalance is served either: a batch later there is room again
        first = feed.poll(wait_s)
        if first is None:
            return
        messages = [first, *feed.consume(room - 1, 0)] if room > 1 else [first]
        now_us = self._clock.now_us()
        for message in messages:
            self._accept(message, now_us)

    def _accept(self, message: Message, now_us: int) -> None:
        error = message.error()
        if error is not None:
            self._on_error(error)
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        if message.value() is None and message.key() == CUT_KEY:
            self._positions[partition] = offset + 1
            return
        self._role.metrics.count("records_in_total", topic=self._topic)
        accounted = offset < self._accounted.get(partition, 0)
        try:
            record = self._codec.decode(self._record_type, message.value())
        except DecodeError as bad:
            if not accounted:
                key = message.key() or b""
                session = key.decode(errors="replace") if isinstance(key, bytes) else key
                self._letters.put(message, self._topic, str(bad))
                self._outbox.note(session, Outcome.UNREADABLE)
        else:
            opened = self._opened(record, partition, offset, accounted=accounted)
            if opened is not None:
                self._processor.accept(Taken(opened, partition, offset, now_us, accounted))
        self._positions[partition] = offset + 1

    def _opened(self, record: R, partition: int, offset: int, *, accounted: bool) -> R | None:
        """The record with its media in the clear; None if it cannot be opened, which is accounted for."""
        error = ""
        try:
            found = opened(record, self._keys)
            if found is not None:
                return found
            gone = self._purpose in self._keys.store.destroyed(record.session_id)
            outcome = Outcome.ERASED if gone else Outcome.NO_KEY
        except SealBroken as broken:
            outcome, error = Outcome.UNDECODABLE, str(broken)
        except KeyStoreError as away:
            # Without the store nothing can be opened: a new process may find it again.
            raise BrokerError(f"sound and pictures cannot be opened: {away}") from away
        if not accounted:
            self._outbox.note(record.session_id, outcome, record.sequence)
            if error:
                self._outbox.dead_letter(Taken(record, partition, offset, 0), error)
        return None

    def _look_at_keys(self) -> None:
        now_us = self._clock.now_us()
        if now_us - self._looked_us < LOOK_AT_KEYS_US:
            return
        self._looked_us = now_us
        if self._keys.refresh():
            self._processor.erase(
                lambda session_id: self._purpose in self._keys.store.destroyed(session_id), self._outbox
            )

    def _on_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            raise MemberFenced(f"{self._role.name}-{self._role.settings.instance} is no longer of the group: {error}")
        log.warning("%s: %s", self._topic, error)

    def _checkpoint(self, feed: Consumer) -> None:
        """Make everything so far durable, then let go of it. Waits for the broker, some milliseconds."""
        self._processor.settle(self._clock.now_us(), self._outbox)
        self._ledger.flush()
        while self._publisher.queued():
            if self._role.stop.is_set():
                return  # _finish() does the same with a deadline
            self._publisher.poll(0.05)
        self._publisher.flush()  # nothing waits any more: this only says whether something was lost
        offsets = self._offsets()
        if offsets:
            feed.commit(offsets=offsets, asynchronous=True)

    def _offsets(self) -> list[TopicPartition]:
        """What to commit: the oldest record that the processor still needs, or where the partition stands.

        The commit's metadata is the offset below which the ledger is complete.
        """
        name = self._role.settings.topic(self._topic)
        result = []
        for partition, position in self._positions.items():
            needed = self._processor.needed_from(partition)
            entry = (position if needed is None else min(needed, position), position)
            if self._committed.get(partition) != entry:
                self._committed[partition] = entry
                result.append(TopicPartition(name, partition, entry[0], metadata=str(position)))
        return result

    def _commit_now(self, feed: Consumer) -> None:
        offsets = self._offsets()
        if not offsets:
            return
        try:
            feed.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Whoever has the partitions next works on the same records again: repeats, not losses.
            log.warning("commit of %s refused: %s", self._topic, error)

    def _finish(self, feed: Consumer) -> None:
        self._processor.settle(self._clock.now_us(), self._outbox)
        self._ledger.flush()
        try:
            self._publisher.flush(STOP_FLUSH_S)
        except DeliveryFailed as error:
            log.warning("stops without having everything acknowledged, will be worked on again: %s", error)
            return
        self._commit_now(feed)
        log.info("stops; everything taken is published")

    def _report_lag(self, feed: Consumer) -> None:
        name = self._role.settings.topic(self._topic)
        for partition, position in self._positions.items():
            try:
                _, end = feed.get_watermark_offsets(TopicPartition(name, partition), cached=True)
            except KafkaException:
                continue  # not known yet
            self._role.metrics.set(
                "lag_records", float(max(end - position, 0)), topic=self._topic, partition=str(partition)
            )

    def _on_commit(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        for each in partitions:
            if error is not None or each.error is not None:
                log.warning("commit of %s[%d] refused: %s", each.topic, each.partition, error or each.error)
                self._committed.pop(each.partition, None)  # asked for again at the next checkpoint

    def _on_assign(self, feed: Consumer, partitions: Sequence[TopicPartition]) -> None:
        try:
            committed = committed_offsets(feed, partitions, timeout_s=COMMITTED_TIMEOUT_S) if partitions else []
        except KafkaException as error:
            log.warning("committed offsets unknown, what is read again counts again: %s", error)
            committed = []
        for each in committed:
            if each.metadata and each.metadata.isdecimal():
                self._accounted[each.partition] = int(each.metadata)
        log.info("has partitions +%s", [p.partition for p in partitions])
        self._role.metrics.ready(True)

    def _on_revoke(self, feed: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Finish what was taken, commit, and let go."""
        self._processor.settle(self._clock.now_us(), self._outbox)
        self._ledger.flush()
        self._publisher.flush()
        self._commit_now(feed)
        self._release(partitions)

    def _on_lost(self, _feed: Consumer | None, partitions: Sequence[TopicPartition]) -> None:
        """The group has gone on without us: nothing can be committed any more."""
        self._processor.settle(self._clock.now_us(), self._outbox)
        self._release(partitions)

    def _release(self, partitions: Sequence[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions]
        log.info("has partitions -%s", numbers)
        self._processor.forget(numbers)
        for number in numbers:
            self._positions.pop(number, None)
            self._committed.pop(number, None)
            self._accounted.pop(number, None)
            self._role.metrics.forget("lag_records", topic=self._topic, partition=str(number))
