"""Which row a session has, found for a whole batch at once.

Python's dictionary waits for memory four times a record when it holds thousands of sessions: for its index, its entry,
the name it compares with and the number it gives. This table is two arrays that the processor's cache holds, searched
by compiled code, whose waits overlap. It is open addressing with linear probing and deletion by shifting back (Knuth,
The Art of Computer Programming 3, 6.4, algorithms L and R).
"""

import secrets
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dataflows.compiled import compiled
from dataflows.layout import Int64s

NAME_BYTES: Final = 48
"""Names up to this length are in the table (the edge gives 36); others are looked for one by one."""
SLOTS_A_ROW: Final = 4
PRIME: Final = 16_777_619
"""FNV-1a's of 32 bits (Fowler, Noll, Vo): a product of both fits 63 bits, compiled or not."""
WORD: Final = 0xFFFFFFFF
FINGERPRINT: Final = 0x7FFFFFFF

Bytes = npt.NDArray[np.uint8]


class Names(NamedTuple):
    """Names side by side: ``ends`` says where each ends in ``data``."""

    data: Bytes
    ends: Int64s

    @classmethod
    def of(cls, names: list[bytes]) -> "Names":
        """These names."""
        lengths = np.fromiter(map(len, names), np.int64, len(names))
        return cls(np.frombuffer(b"".join(names), np.uint8), lengths.cumsum())


class Table(NamedTuple):
    """The hash table, and what is compared with."""

    slots: Int64s  # (2^n,) fingerprint << 32 | row + 1; 0: nobody
    names: Bytes  # (rows, NAME_BYTES)
    lengths: Int64s  # (rows,)
    seed: Int64s  # (1,) so that nobody can choose names that collide


@compiled
def fingerprint(data: Any, begin: int, end: int, seed: int) -> int:
    """31 bits of a name's hash."""
    h: Any = seed
    for byte in data[begin:end]:
        h = ((h ^ np.int64(byte)) * PRIME) & WORD
    found: int = (h ^ (h >> 16)) & FINGERPRINT
    return found


@compiled
def find_slot(data: Any, begin: int, end: int, table: Any) -> tuple[int, int]:
    """The slot of a name of at most NAME_BYTES, or the free one where it belongs; and its fingerprint."""
    slots, names, lengths, seed = table
    mask = len(slots) - 1
    mark = fingerprint(data, begin, end, seed[0])
    at = mark & mask
    while slots[at] != 0:
        if slots[at] >> 32 == mark:
            row = (slots[at] & WORD) - 1
            if lengths[row] == end - begin:
                known = names[row, : end - begin]
                name = data[begin:end]
                same = True
                for j in range(len(name)):
                    same &= known[j] == name[j]
                if same:
                    return at, mark
        at = (at + 1) & mask
    return at, mark


@compiled
def find_rows(data: Any, ends: Any, begin: int, end: int, table: Any, rows: Any) -> int:
    """Write the rows of the names ``begin`` to ``end``, -1 if they have none; returns how many were too long."""
    long = 0
    for i in range(begin, end):
        start = ends[i - 1] if i > 0 else 0
        rows[i] = -1
        if ends[i] - start > NAME_BYTES:
            long += 1
        else:
            at, _ = find_slot(data, start, ends[i], table)
            if table.slots[at] != 0:
                rows[i] = (table.slots[at] & WORD) - 1
    return long


@compiled
def insert(data: Any, row: int, table: Any) -> None:
    """Enter a name that is not there."""
    at, mark = find_slot(data, 0, len(data), table)
    table.slots[at] = (mark << 32) | (row + 1)
    table.lengths[row] = len(data)
    for j in range(len(data)):
        table.names[row, j] = data[j]


@compiled
def remove(data: Any, table: Any) -> None:
    """Take a name out that is there, and close the gap."""
    slots = table.slots
    mask = len(slots) - 1
    gap, _ = find_slot(data, 0, len(data), table)
    at = gap
    while True:
        slots[gap] = 0
        while True:
            at = (at + 1) & mask
            if slots[at] == 0:
                return
            home = (slots[at] >> 32) & mask
            # Whoever lives between the gap and here would not be found any more across the gap's end.
            if (at - home) & mask >= (at - gap) & mask:
                break
        slots[gap] = slots[at]
        gap = at


class Roster:
    """Rows by session. Grows with :meth:`resize`."""

    def __init__(self, rows: int) -> None:
        self._rows: dict[bytes, int] = {}
        self._seed = np.array([secrets.randbits(32)], np.int64)
        self._table = self._new_table(rows)

    def _new_table(self, rows: int) -> Table:
        size = 1 << (SLOTS_A_ROW * rows - 1).bit_length()
        return Table(
            np.zeros(size, np.int64), np.zeros((rows, NAME_BYTES), np.uint8), np.zeros(rows, np.int64), self._seed
        )

    def __len__(self) -> int:
        return len(self._rows)

    def resize(self, rows: int) -> None:
        """Have room for so many rows."""
        self._table = self._new_table(rows)
        for session, row in self._rows.items():
            self._enter(session, row)

    def _enter(self, session: bytes, row: int) -> None:
        if len(session) <= NAME_BYTES:
            insert(np.frombuffer(session, np.uint8), row, self._table)

    def get(self, session: bytes) -> int | None:
        """The row of one session."""
        return self._rows.get(session)

    def items(self) -> list[tuple[bytes, int]]:
        """Sessions and their rows, in the order in which they came."""
        return list(self._rows.items())

    def rows(self) -> list[int]:
        """The rows in use, ascending."""
        return sorted(self._rows.values())

    def add(self, session: bytes, row: int) -> None:
        """Give a session that has none a row."""
        assert session not in self._rows
        self._rows[session] = row
        self._enter(session, row)

    def remove(self, session: bytes) -> None:
        """Take a session's row from it."""
        del self._rows[session]
        if len(session) <= NAME_BYTES:
            remove(np.frombuffer(session, np.uint8), self._table)

    def find(self, names: Names, begin: int, end: int, rows: Int64s) -> None:
        """Write the rows of the names ``begin`` to ``end`` to ``rows[begin:end]``, -1 for those without."""
        if find_rows(names.data, names.ends, begin, end, self._table, rows):
            for i in range(begin, end):
                start = int(names.ends[i - 1]) if i else 0
                if names.ends[i] - start > NAME_BYTES:
                    rows[i] = self._rows.get(names.data[start : names.ends[i]].tobytes(), -1)
