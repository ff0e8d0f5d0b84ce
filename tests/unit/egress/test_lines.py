import numpy as np

from egress.lines import SHUT, Lines


def test_lines_are_used_again_and_grow():
    lines = Lines()
    taken = [lines.take() for _ in range(100)]
    assert sorted(taken) == list(range(100))
    lines.open(taken[99], 7)
    assert np.flatnonzero(lines.descriptors != SHUT).tolist() == [taken[99]]
    lines.give_back(taken[99])
    assert (lines.descriptors == SHUT).all()
    assert lines.take() == taken[99]
