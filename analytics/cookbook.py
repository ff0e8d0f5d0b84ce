"""The questions of docs/analytics.md, as text: ``SESSION`` stands for a session's id."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from runtime.errors import PrerequisiteError

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "analytics.md"
RECIPE: Final = re.compile(r"^### (?P<name>.+?)\n.*?^```sql\n(?P<sql>.+?)^```", re.MULTILINE | re.DOTALL)
SECTION: Final = "## Cookbook"


@cache
def recipes() -> Mapping[str, str]:
    """Question to SELECT, in the page's order; PrerequisiteError in an installation without its sources."""
    try:
        text = PAGE.read_text(encoding="utf-8")
    except OSError as error:
        raise PrerequisiteError("the cookbook is docs/analytics.md in a clone of the repository") from error
    section = re.split(r"^## ", text.partition(SECTION)[2], maxsplit=1, flags=re.MULTILINE)[0]
    return {match["name"]: match["sql"].strip() for match in RECIPE.finditer(section)}
