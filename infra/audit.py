"""Known vulnerabilities of what is locked, and a bill of materials of it: ``make audit``.

Python's packages by pip-audit, the page's by ``npm audit``; CycloneDX files by cyclonedx-bom and ``npm sbom``, into
``dist/``. Exits with 1 if a locked package has a known vulnerability. Where the advisories cannot be reached, that is
said in capitals and is no failure: the machine may have no network. The tools come by ``uv tool run``, in environments
of their own: what they depend on is none of the product's business.
"""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")
PIP_AUDIT: Final = "pip-audit==2.10.1"
CYCLONEDX: Final = "cyclonedx-bom==7.5.0"
TIMEOUT_S: Final = 240.0
LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to."""

    line: str
    vulnerable: bool = False


def locked(lock: str) -> set[tuple[str, str]]:
    """Name and version of every package of a lock file; one may stand there in several, each for other machines."""
    return {(name.lower(), version) for name, version in LOCKED.findall(lock)}


def judged(what: str, answer: str, total: int) -> Finding:
    """What pip-audit's JSON says of ``total`` locked packages."""
    try:
        found: Sequence[Mapping[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Finding(f"{what}: NOT AUDITED: the advisories cannot be reached")
    known = [each for each in found if "skip_reason" not in each]
    bad = [f"{e['name']} {e['version']}: {', '.join(v['id'] for v in e['vulns'])}" for e in known if e.get("vulns")]
    if bad:
        return Finding(f"{what}: VULNERABLE: {'; '.join(bad)}", vulnerable=True)
    if not known:
        return Finding(f"{what}: NOT AUDITED: the advisories know none of its {total} packages (no network?)")
    left = f", NOT AUDITED: {total - len(known)} of them" if len(known) < total else ""
    return Finding(f"{what}: {total} packages, no known vulnerability{left}")


def judged_npm(answer: str) -> Finding:
    """What ``npm audit --json`` says."""
    try:
        counts: Mapping[str, int] = json.loads(answer)["metadata"]["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Finding("web/package-lock.json: NOT AUDITED: the advisories cannot be reached")
    bad = {level: counts.get(level, 0) for level in ("moderate", "high", "critical") if counts.get(level)}
    if bad:
        told = ", ".join(f"{count} {level}" for level, count in bad.items())
        return Finding(f"web/package-lock.json: VULNERABLE: {told} (cd web && npm audit)", vulnerable=True)
    return Finding("web/package-lock.json: no known vulnerability")


def complete(sbom: Mapping[str, Any], wanted: Collection[tuple[str, str]]) -> list[str]:
    """Locked packages that a bill of materials lacks, or has in another version."""
    listed = {(str(each["name"]).lower(), str(each["version"])) for each in sbom.get("components", ())}
    return sorted({name for name, _ in set(wanted) - listed})


def _run(command: Sequence[str], where: Path) -> str:
    try:
        answer = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def _tool(uv: str, package: str, *command: str) -> list[str]:
    return [uv, "tool", "run", "--quiet", "--from", package, *command]


def _audit_python(uv: str, name: str) -> Finding:
    total = len(locked((ROOT / name).read_text(encoding="utf-8")))
    options = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "10", "-f", "json")
    return judged(name, _run(_tool(uv, PIP_AUDIT, "pip-audit", "-r", name, *options), ROOT), total)


def _materials(uv: str, dist: Path) -> list[Finding]:
    """Write both bills; say what is in them."""
    dist.mkdir(exist_ok=True)
    found = []
    python, web = dist / "sbom-python.json", dist / "sbom-web.json"
    python.unlink(missing_ok=True)
    _run(_tool(uv, CYCLONEDX, "cyclonedx-py", "requirements", LOCKS[0], "--of", "JSON", "-o", str(python)), ROOT)
    wanted = locked((ROOT / LOCKS[0]).read_text(encoding="utf-8"))
    if not python.exists():
        found.append(Finding(f"{LOCKS[0]}: NO BILL OF MATERIALS: {CYCLONEDX} cannot be had"))
    elif missing := complete(json.loads(python.read_text(encoding="utf-8")), wanted):
        found.append(Finding(f"{python.name} lacks {', '.join(missing)}", vulnerable=True))
    else:
        found.append(Finding(f"dist/{python.name}: {len(wanted)} packages"))
    told = _run(["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], ROOT / "web")
    if told:
        web.write_text(told, encoding="utf-8")
        found.append(Finding(f"dist/{web.name}: {len(json.loads(told)['components'])} packages"))
    else:
        found.append(Finding("web/package-lock.json: NO BILL OF MATERIALS: npm makes none"))
    return found


def main(uv: str) -> int:
    """Look at everything; the exit code."""
    findings = [_audit_python(uv, name) for name in LOCKS]
    findings.append(judged_npm(_run(["npm", "audit", "--json"], ROOT / "web")))
    findings += _materials(uv, ROOT / "dist")
    sys.stdout.write("".join(f"audit: {finding.line}\n" for finding in findings))
    return int(any(finding.vulnerable for finding in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
