"""Whether the role of this container does its work: exit code 0 if its metrics page says so.

Needs nothing but Python: it must answer even where the product's own libraries do not load.
"""

import os
import sys
import urllib.request
from typing import Final

TIMEOUT_S: Final = 2.0
READY: Final = b"affectstream_role_ready{"


def ready(port: int) -> bool:
    """Whether the metrics page at this port has a role that is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
            lines = answer.read().splitlines()
    except OSError:
        return False
    return any(line.startswith(READY) and float(line.rsplit(b" ", 1)[1]) == 1.0 for line in lines)


if __name__ == "__main__":
    sys.exit(0 if ready(int(os.environ.get("AFFECTSTREAM_METRICS_PORT", "9100"))) else 1)
