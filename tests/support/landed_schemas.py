"""Add the present version of each schema to ``schemas/history/``: ``python -m tests.support.landed_schemas``."""

import sys

from schemas.codec import HISTORY_FOLDER, fingerprint, schema_text
from schemas.records import TOP_LEVEL


def main() -> None:
    for name in TOP_LEVEL:
        path = HISTORY_FOLDER / f"{name}-{fingerprint(name).hex()}.avsc"
        if not path.exists():
            path.write_text(schema_text(name), encoding="utf-8")
            sys.stdout.write(f"added {path.name}\n")


if __name__ == "__main__":
    main()
