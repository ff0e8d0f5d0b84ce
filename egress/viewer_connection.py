"""A viewer's WebSocket, which takes most of its messages without a task's turn."""

from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN


class ViewerConnection(ServerConnection):
    """Hands whole text messages to :attr:`taking` as soon as they are read, once there is one.

    Thousands of viewers acknowledge a frame every second: a queue and a task's turn for each cost as much as what is
    done with it. Fragmented and binary messages, and those that came before, go through the queue as usual.
    """

    taking: Callable[[bytes], None] | None = None
    """Is given the payload, UTF-8 or not. It must not raise."""

    disturbed: Callable[[bool], None] | None = None
    """Is told when something was written that is no message of ours, when the connection is being closed, and (True)
    when it is lost, before its descriptor is another's."""

    def send_data(self) -> None:
        super().send_data()
        if self.disturbed is not None and (self.protocol.state is not OPEN or self.transport.get_write_buffer_size()):
            self.disturbed(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.disturbed is not None:
            self.disturbed(True)
        super().connection_lost(exc)

    def process_event(self, event: Request | Response | Frame) -> None:
        if self.taking is not None and isinstance(event, Frame) and event.opcode is Opcode.TEXT and event.fin:
            self.taking(bytes(event.data))
        else:
            super().process_event(event)
