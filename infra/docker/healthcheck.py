"""Whether the role of this container does its work: exit code 0 if its metrics page says so.

Needs nothing but Python: it must answer even where the product's own libraries do not load.
"""

import http.client
import os
import ssl
import sys
import urllib.request
from typing import Final

TIMEOUT_S: Final = 2.0
READY: Final = b"affectstream_role_ready{"


def ready(port: int) -> bool:
    """Whether the metrics page at this port, with TLS or without, has a role that is ready."""
    # It asks itself: there is nobody between, and the certificate is for another name.
    unchecked = ssl._create_unverified_context()  # noqa: S323, SLF001 - see above
    lines: list[bytes] = []
    for scheme in ("http", "https"):
        try:
            page = f"{scheme}://127.0.0.1:{port}/metrics"
            with urllib.request.urlopen(page, timeout=TIMEOUT_S, context=unchecked) as answer:  # noqa: S310 - ours
                lines = answer.read().splitlines()
                break
        except (OSError, http.client.HTTPException):
            continue
    return any(line.startswith(READY) and float(line.rsplit(b" ", 1)[1]) == 1.0 for line in lines)


if __name__ == "__main__":
    sys.exit(0 if ready(int(os.environ.get("AFFECTSTREAM_METRICS_PORT", "9100"))) else 1)
