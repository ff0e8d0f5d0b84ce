"""Who fuses which partitions: claimed in Kafka before the first record is read, proven while it goes on.

The file lock of a store keeps two processes of one machine apart. This keeps machines apart. Three things together:

* Each store has a *claim*, a random token that is new at every start. It stands in the store and, as the metadata of
  the committed offset, at each partition in Kafka. A store may be started only if Kafka names its claim (or the one
  before, should the process have died between writing the two). So a store of other partitions that overlap, a fresh
  one on another machine, or an older copy is refused before it has done anything.
* Claiming reads and then writes, so claimers take turns: each takes the transactional id ``fusion-claim``, and Kafka
  refuses the write of one who was overtaken. A claim is a compare-and-set.
* A *copy* of the store may claim: that is how a group moves. It then takes the transactional id of that store, and
  Kafka refuses every later proof of the process that held it. The proof is the commit of the offsets, each epoch.

A process that is refused a proof looks who holds the claim and ends. The frames that it wrote in its last moments are
those that the new owner writes too, byte for byte, since both fuse the same log: readers drop them as repeated.
"""

import json
import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dataflows.store import GROUP, Store
from runtime.errors import BrokerError, Fenced, OwnershipLost, RecoveryError
from runtime.fence import FencedCommits
from runtime.kafka import KafkaException, TopicPartition, committed_offsets, consumer
from runtime.settings import Settings
from schemas.topics import SIGNALS

log = logging.getLogger(__name__)

CLAIM_ID: Final = "fusion-claim"
CLAIM_TRIES: Final = 20
PROVE_EVERY_S: Final = 3.0
"""How long an owner that has nothing to do goes without a proof."""
PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Claim:
    """What Kafka says of a partition: the next offset that was committed, and by whom."""

    offset: int
    token: str
    by: str


class Ownership:
    """The claim of this process on its partitions. ``take`` makes one; a thread of its own proves it."""

    def __init__(
        self, settings: Settings, store: Store, token: str, offsets: Mapping[int, int], commits: FencedCommits
    ) -> None:
        self._settings = settings
        self._store = store
        self._token = token
        self._metadata = _metadata(store, token)
        self._offsets = dict(offsets)
        self._wake = threading.Condition()
        self._wanted = 0
        self._proven = 0
        self._stop = False
        self._lost: OwnershipLost | None = None
        self._commits: FencedCommits | None = commits
        self._thread = threading.Thread(target=self._prove_on, name="ownership", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, settings: Settings, store: Store) -> "Ownership":
        """Claim the store's partitions.

        Blocks for some network calls. Raises RecoveryError if another store holds one of them, BrokerError if Kafka
        does not answer.
        """
        _require_known(store, read_claims(settings, store.owned))
        commits = FencedCommits(settings, f"fusion-{store.store_id}", GROUP)
        for _ in range(CLAIM_TRIES):
            turn = FencedCommits(settings, CLAIM_ID, GROUP)
            claims = read_claims(settings, store.owned)
            _require_known(store, claims)
            token = secrets.token_hex(8)
            store.claim(token, proven=sorted({claim.token for claim in claims.values() if claim.token}))
            offsets = {partition: claim.offset for partition, claim in claims.items()}
            try:
                turn.commit(settings.topic(SIGNALS), offsets, _metadata(store, token))
            except Fenced:
                # Who else is starting comes again too: not at the same moments.
                time.sleep(random.uniform(0.0, PAUSE_S))
                continue
            return cls(settings, store, token, offsets, commits)
        raise BrokerError(f"{CLAIM_TRIES} times another process claimed partitions at the same moment")

    def prove(self, offsets: Mapping[int, int]) -> None:
        """Commit the offsets that an epoch which is durable ended with, and so prove the claim. Does not block."""
        with self._wake:
            if offsets and any(self._offsets.get(p) != offset for p, offset in offsets.items()):
                self._offsets.update(offsets)
                self._wanted += 1
                self._wake.notify_all()

    def proven(self, timeout_s: float) -> bool:
        """Whether everything that :meth:`prove` was told is proven, waiting up to ``timeout_s`` for it."""
        with self._wake:
            self._wake.wait_for(lambda: self._lost is not None or self._proven >= self._wanted, timeout_s)
            self.check()
            return self._proven >= self._wanted

    def check(self) -> None:
        """Raise OwnershipLost if another process has the partitions now. Costs nothing."""
        if self._lost is not None:
            raise self._lost

    def close(self) -> None:
        """End the thread; what it is doing is given up after a moment."""
        with self._wake:
            self._stop = True
            self._wake.notify_all()
        self._thread.join(1.0)

    def _prove_on(self) -> None:
        """Prove whenever told to, and now and then; until lost or closed."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stop or self._proven < self._wanted, PROVE_EVERY_S)
                if self._stop and self._proven >= self._wanted:
                    return
                wanted, offsets = self._wanted, dict(self._offsets)
            try:
                if self._commits is None:
                    self._commits = FencedCommits(self._settings, f"fusion-{self._store.store_id}", GROUP)
                self._commits.commit(self._settings.topic(SIGNALS), offsets, self._metadata)
            except Fenced:
                # Kafka also fences whose commit took too long, as when it was away itself: the claim tells.
                self._commits = None
                if self._is_lost():
                    return
            except BrokerError as error:
                log.warning("the claim on %s cannot be proven for now: %s", self._store.title, error)
                self._commits = None
                if self._stop:
                    return
                time.sleep(PAUSE_S)
            else:
                with self._wake:
                    self._proven = wanted
                    self._wake.notify_all()

    def _is_lost(self) -> bool:
        try:
            claims = read_claims(self._settings, self._store.owned)
        except BrokerError as error:
            log.warning("cannot ask who holds the claim: %s", error)
            return False
        others = {p: claim.by for p, claim in claims.items() if claim.token != self._token}
        if not others:
            return False
        with self._wake:
            self._lost = OwnershipLost(f"partitions are fused elsewhere now, and this process was fenced: {others}")
            self._wake.notify_all()
        return True


def read_claims(settings: Settings, partitions: Sequence[int]) -> dict[int, Claim]:
    """What is committed for each partition; its first kept offset and an empty token if nothing is.

    Raises BrokerError if Kafka does not answer.
    """
    # What somebody is about to commit is not waited for: a crashed owner may have left it unfinished.
    reader = consumer(settings, GROUP, isolation_level="read_uncommitted")
    topic = settings.topic(SIGNALS)
    try:
        places = committed_offsets(reader, [TopicPartition(topic, p) for p in partitions])
        claims = {}
        for place in places:
            if place.offset < 0:
                low, _high = reader.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=10.0)
                claims[place.partition] = Claim(low, "", "")
            else:
                claims[place.partition] = _claim(place.offset, place.metadata or "")
        return claims
    except KafkaException as error:
        raise BrokerError(f"cannot ask for fusion's committed offsets: {error}") from error
    finally:
        reader.close()


def _claim(offset: int, metadata: str) -> Claim:
    try:
        said = json.loads(metadata)
        return Claim(offset, str(said["claim"]), str(said["by"]))
    except (ValueError, KeyError, TypeError):
        return Claim(offset, "", "")


def _metadata(store: Store, token: str) -> str:
    by = f"{socket.gethostname()}, process {os.getpid()}, partitions {store.title}, store {store.path}"
    return json.dumps({"claim": token, "by": by})


def _require_known(store: Store, claims: Mapping[int, Claim]) -> None:
    strangers = {p: claim.by for p, claim in claims.items() if claim.token and claim.token not in store.claims}
    if strangers:
        msg = (
            f"the recovery store {store.path} is not the one that partitions {sorted(strangers)} were fused with last: "
            f"{strangers}. Nothing was changed. A group of partitions goes on with its newest store only: move that "
            "one here, or start it where it is"
        )
        raise RecoveryError(msg)
