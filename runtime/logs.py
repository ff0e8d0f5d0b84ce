"""Logging: one line an event on stderr, as text for people or JSON for machines. Never personal data, never secrets."""

import hashlib
import json
import logging
import secrets
import sys
from datetime import UTC, datetime
from typing import Final, Literal

TAG_KEY: Final = secrets.token_bytes(16)
"""Of this process: what stands in logs cannot be traced to a session later."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what was passed as ``extra={"facts": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line.update(facts)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logs(role: str, log_format: Literal["text", "json"], level: str) -> None:
    """Send every log line of this process to stderr; replaces earlier handlers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if log_format == "json"
        else logging.Formatter(f"%(asctime)s %(levelname)-7s {role} %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "matplotlib", "numba", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def session_tag(session_id: str) -> str:
    """Stands for a session in logs: the same throughout one process, and nothing to anybody without its memory.

    Logs outlive an erasure, so they must not name what was erased.
    """
    return hashlib.blake2b(session_id.encode(), key=TAG_KEY, digest_size=5).hexdigest()
