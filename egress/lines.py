"""Which connections whole messages may be written to straight, past their transports.

A transport keeps what the kernel did not take, so nothing may be written past it while anything waits there, and
nothing after a close frame. Who has the connection keeps its line open or shut accordingly; who writes looks.
"""

import ctypes
import socket
from typing import Final

import numpy as np
import numpy.typing as npt

SHUT: Final = -1
FIRST_ROOM: Final = 64
FLAGS: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
"""Of sends; where the system has no MSG_NOSIGNAL, Python ignores the signal."""

_libc: Final = ctypes.PyDLL(None)
"""Keeps the interpreter: to give it up and have it back costs more than a send that does not wait."""
_libc.send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.send.restype = ctypes.c_ssize_t


def send(descriptor: int, data: bytes | int, count: int) -> int:
    """``send(2)`` of the first ``count`` bytes of ``data``, or at that address: how many the socket took; -1: none."""
    return int(_libc.send(descriptor, data, count, FLAGS))


class Lines:
    """A number and a descriptor for each connection. Used in the event loop's thread only."""

    def __init__(self) -> None:
        self.descriptors: npt.NDArray[np.int32] = np.full(FIRST_ROOM, SHUT, np.int32)
        """Of the sockets, by the lines' numbers; SHUT: the transport has to be asked. Replaced when it grows."""
        self._free = list(range(FIRST_ROOM - 1, -1, -1))

    def take(self) -> int:
        """The number of a new line, which is shut."""
        if not self._free:
            room = len(self.descriptors)
            self.descriptors = np.concatenate([self.descriptors, np.full(room, SHUT, np.int32)])
            self._free = list(range(2 * room - 1, room - 1, -1))
        return self._free.pop()

    def give_back(self, line: int) -> None:
        """Its connection is gone."""
        self.shut(line)
        self._free.append(line)

    def open(self, line: int, descriptor: int) -> None:
        """Nothing waits in the transport: messages may be written to ``descriptor``."""
        self.descriptors[line] = descriptor

    def shut(self, line: int) -> None:
        """Something waits, or nothing more may be sent."""
        self.descriptors[line] = SHUT
