"""What a check says: how it is, what was found, what to do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Status = Literal["ok", "warning", "failure", "skipped"]
"""``failure``: something does not work, or will not. ``warning``: it works, and somebody should know.
``skipped``: could not be looked at, because of another failure or because it is not used."""

SEVERITY: Final[tuple[Status, ...]] = ("ok", "skipped", "warning", "failure")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer. ``remedy`` is empty when there is nothing to do."""

    check: str
    status: Status
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"check": self.check, "status": self.status, "found": self.found, "do": self.remedy}


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def skipped(check: str, why: str) -> Finding:
    """Not looked at."""
    return Finding(check, "skipped", why)


def worst(findings: Sequence[Finding]) -> Status:
    """The gravest status among the findings."""
    return max((finding.status for finding in findings), key=SEVERITY.index, default="ok")
