"""What viewers do, as client events."""

import logging
from typing import Any

from egress.hub import Viewer
from runtime.clock import Clock
from runtime.errors import QueueFull
from runtime.kafka import Publisher
from schemas.codec import Codec
from schemas.records import ClientEvent, ClientEventKind
from schemas.topics import CLIENT_EVENTS

log = logging.getLogger(__name__)


class Events:
    """Writes one viewer's client events, numbered from 0."""

    def __init__(self, codec: Codec, clock: Clock, publisher: Publisher, viewer: Viewer) -> None:
        self._codec = codec
        self._clock = clock
        self._publisher = publisher
        self._viewer = viewer
        self._next = 0

    def write(self, kind: ClientEventKind, **facts: Any) -> None:
        """Write an event; one that the broker's queue does not take is given up and logged."""
        now_us = self._clock.now_us()
        event = ClientEvent(
            captured_at_us=now_us,
            received_at_us=now_us,
            kind=kind,
            sequence=self._next,
            session_id=self._viewer.session_id,
            client_id=self._viewer.viewer_id,
            **facts,
        )
        self._next += 1
        try:
            self._publisher.send(CLIENT_EVENTS, event.session_id, self._codec.encode(event))
        except QueueFull:
            log.exception("a client event (%s) is lost", kind)
