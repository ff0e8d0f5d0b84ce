import socket

import numpy as np

from egress.lines import SHUT, Lines, send


def test_lines_are_used_again_and_grow():
    lines = Lines()
    taken = [lines.take() for _ in range(100)]
    assert sorted(taken) == list(range(100))
    lines.open(taken[99], 7)
    assert np.flatnonzero(lines.descriptors != SHUT).tolist() == [taken[99]]
    lines.give_back(taken[99])
    assert (lines.descriptors == SHUT).all()
    assert lines.take() == taken[99]


def test_sending_takes_what_there_is_room_for_and_never_waits():
    near, far = socket.socketpair()
    with near, far:
        assert send(near.fileno(), b"hello, world", 5) == 5
        assert far.recv(100) == b"hello"
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        taken = [send(near.fileno(), bytes(3_000), 3_000) for _ in range(10)]
        assert taken[-1] == -1
        far.close()
        assert send(near.fileno(), b"nobody", 6) == -1
