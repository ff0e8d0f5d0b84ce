"""What is said of the audit's answers."""

import importlib.util
import json
import sys

import pytest

from tests.support.prerequisites import REPOSITORY

_SPEC = importlib.util.spec_from_file_location("audit", REPOSITORY / "infra" / "audit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
audit = importlib.util.module_from_spec(_SPEC)
sys.modules["audit"] = audit
_SPEC.loader.exec_module(audit)

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN = {"name": "c", "version": "3", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    "dependencies, vulnerable, said",
    [
        ([GOOD, GOOD], False, "x: 2 packages, no known vulnerability"),
        ([GOOD, BAD], True, "x: VULNERABLE: b 2: CVE-1, CVE-2"),
        ([GOOD, UNKNOWN], False, "x: 2 packages, no known vulnerability, NOT AUDITED: 1 of them"),
        ([UNKNOWN, UNKNOWN], False, "x: NOT AUDITED: the advisories know none of its 2 packages (no network?)"),
    ],
)
def test_python_packages(dependencies, vulnerable, said):
    finding = audit.judged("x", json.dumps({"dependencies": dependencies, "fixes": []}), 2)
    assert (finding.line, finding.vulnerable) == (said, vulnerable)


@pytest.mark.parametrize("answer", ["", "not JSON", "{}", "[]"])
def test_no_answer_is_said_in_capitals_and_is_no_failure(answer):
    for finding in (audit.judged("x", answer, 2), audit.judged_npm(answer)):
        assert "NOT AUDITED" in finding.line
        assert not finding.vulnerable


def test_the_pages_packages():
    def told(**counts: int) -> str:
        return json.dumps({"metadata": {"vulnerabilities": {"info": 0, "low": 1, "moderate": 0, **counts}}})

    assert audit.judged_npm(told()).line == "web/package-lock.json: no known vulnerability"
    assert audit.judged_npm(told(high=2)).vulnerable


def test_every_locked_package_is_read_and_missed_where_it_is_not_listed():
    for name in audit.LOCKS:
        text = (REPOSITORY / name).read_text()
        assert len(audit.locked(text)) == sum(line[:1].isalnum() and "==" in line for line in text.splitlines())
    wanted = {("a", "1"), ("b", "2"), ("c", "3")}
    sbom = {"components": [{"name": "A", "version": "1"}, {"name": "b", "version": "1"}]}
    assert audit.complete(sbom, wanted) == ["b", "c"]
