"""Which connections whole messages may be written to straight, past their transports.

A transport keeps what the kernel did not take, so nothing may be written past it while anything waits there, and
nothing after a close frame. Who has the connection keeps its line open or shut accordingly; who writes looks.
"""

import ctypes
import socket
from typing import Final

import numpy as np
import numpy.typing as npt

from egress.places import Places

SHUT: Final = -1
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
        self._places = Places(np.int32(SHUT))

    @property
    def descriptors(self) -> npt.NDArray[np.int32]:
        """Of the sockets, by the lines' numbers; SHUT: the transport has to be asked. Replaced when it grows."""
        return self._places.rows

    def take(self) -> int:
        """The number of a new line, which is shut."""
        return self._places.take()

    def give_back(self, line: int) -> None:
        """Its connection is gone."""
        self._places.give_back(line)

    def open(self, line: int, descriptor: int) -> None:
        """Nothing waits in the transport: messages may be written to ``descriptor``."""
        self.descriptors[line] = descriptor

    def shut(self, line: int) -> None:
        """Something waits, or nothing more may be sent."""
        self.descriptors[line] = SHUT
