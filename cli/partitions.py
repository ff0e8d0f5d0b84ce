"""Which partitions a fusion process takes, as people write them: ``0-5``, ``0,2,7-9``."""

import re
from collections.abc import Sequence

from runtime.errors import SettingsError


def parse_partitions(text: str) -> tuple[int, ...]:
    """The partitions of ranges and single numbers with commas between them, in order.

    Raises SettingsError, which says what is wrong, if the text is anything else, names one twice or counts down.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part)
        if match is None:
            raise SettingsError(f"--partitions {text}: {part.strip()!r} is neither a number nor a range such as 0-5")
        first = int(match.group(1))
        last = first if match.group(2) is None else int(match.group(2))
        if last < first:
            raise SettingsError(f"--partitions {text}: {part.strip()} counts down; write {last}-{first}")
        found += range(first, last + 1)
    twice = sorted({partition for partition in found if found.count(partition) > 1})
    if twice:
        raise SettingsError(f"--partitions {text}: named twice: {', '.join(map(str, twice))}")
    return tuple(sorted(found))


def require_partitions_for(role: str, partitions: Sequence[int] | None) -> None:
    """Raise SettingsError if a role was given partitions that gets its own from Kafka."""
    if partitions is not None and role != "fusion":
        raise SettingsError(f"--partitions is for fusion only: {role} gets its share of the partitions by itself")
