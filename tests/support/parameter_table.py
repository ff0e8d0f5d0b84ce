"""The table of fusion parameters in docs/fusion.md: ``python -m tests.support.parameter_table`` writes it."""

import re
from typing import Final

from schemas.fusion_config import PARAMETERS, VERSION
from tests.support.prerequisites import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "fusion.md"
PLACE: Final = re.compile(r"(<!-- parameters -->\n).*(<!-- /parameters -->)", re.DOTALL)


def table() -> str:
    """The table, as it is to stand in the page."""
    rows = [
        f"| `{name}` | {p.default:g} | {p.minimum:g} to {p.maximum:g} | {p.meaning} |" for name, p in PARAMETERS.items()
    ]
    head = [
        f"Version {VERSION} of the set:",
        "",
        "| parameter | default | range | meaning |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def with_table(page: str) -> str:
    """``page`` with the present table in its place."""
    found, count = PLACE.subn(lambda place: place[1] + table() + place[2], page)
    assert count == 1
    return found


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
