"""Log lines."""

import io
import json
import logging

import pytest

from runtime.logs import JsonFormatter, configure_logs


@pytest.fixture(autouse=True)
def keep_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_lines_carry_facts_and_exceptions():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("affectstream.test")
    logger.addHandler(handler)
    try:
        try:
            int("no")
        except ValueError:
            logger.exception("it failed", extra={"facts": {"partition": 3}})
    finally:
        logger.removeHandler(handler)
    line = json.loads(out.getvalue())
    assert (line["message"], line["partition"], line["level"]) == ("it failed", 3, "ERROR")
    assert "ValueError: invalid literal" in line["exception"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_configure_replaces_handlers(log_format, capsys):
    configure_logs("fusion", log_format, "INFO")
    configure_logs("fusion", log_format, "INFO")
    logging.getLogger("x").info("once")
    assert capsys.readouterr().err.count("once") == 1
