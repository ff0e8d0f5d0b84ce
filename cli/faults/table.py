"""The table of faults in docs/reliability.md, written by the suite itself."""

from pathlib import Path
from typing import Final

from cli.faults.suite import Outcome, Suite
from runtime.errors import AffectstreamError

BEGIN: Final = "<!-- faults: written by `affectstream verify faults --write` -->"
END: Final = "<!-- end of faults -->"


def table(suite: Suite) -> str:
    """Markdown: one row a fault."""
    lines = [
        (
            "| what goes wrong | for, s | longest without a frame, s | live again after, s | lost | doubled "
            "| pictures given up |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(outcome) for outcome in suite.outcomes),
        "",
        f"Measured on {suite.machine}, {suite.at:%Y-%m-%d %H:%M} UTC.",
    ]
    return "\n".join(lines)


def _row(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"| {outcome.title} | not tried: {outcome.skipped} | | | | | |"
    if outcome.problem:
        harm = f"{outcome.lost} | {outcome.doubled}"
        return f"| {outcome.title} | {outcome.lasted_s:g} | **{outcome.problem}** | | {harm} | |"
    return (
        f"| {outcome.title} | {outcome.lasted_s:g} | {outcome.silent_s:g} | {outcome.back_s:g} "
        f"| {outcome.lost + outcome.sound_dropped} | {outcome.doubled + outcome.repeated} | {outcome.dropped} |"
    )


def write(suite: Suite, document: Path) -> None:
    """Put the table into the document, between its marks; AffectstreamError if they are not there."""
    text = document.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise AffectstreamError(f"{document} has no place for the table: {BEGIN} … {END}")
    whole = text[: begin + len(BEGIN)] + "\n\n" + table(suite) + "\n\n" + text[end:]
    document.write_text(whole, encoding="utf-8")
