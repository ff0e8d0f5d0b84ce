"""How often Python looks for cycles of objects that only refer to each other."""

import gc
from typing import Final

COLLECT_EVERY: Final = 100_000
"""Objects that may come into being, more than go, before Python looks: a batch makes thousands that refer to nothing,
and looking at them again and again takes up to a sixteenth of the time."""


def collect_rarely() -> None:
    """Never look at what is there by now, and at the rest after a hundred thousand more: for processes of batches."""
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
