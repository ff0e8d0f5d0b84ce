"""``affectstream sessions``: erasing them, and who asked for that; ``affectstream retention``.

Like the rest of the command line, what a command needs is imported when it runs.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from cli.terminal import console, progress, read_settings
from runtime.errors import AffectstreamError, SettingsError

if TYPE_CHECKING:
    from analytics.client import AnalyticsClient
    from runtime.settings import Settings

app = typer.Typer(help="Sessions: erase them, and see what was erased.", no_args_is_help=True)

DEADLINE_S: Final = 120.0
ASK_S: Final = 0.25
STEPS: Final = {"rows": "rows", "log": "Kafka's log", "stores": "recovery stores", "files": "recordings and reports"}

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the analytics role has its data.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]


def _api(settings: "Settings") -> "AnalyticsClient | None":
    from analytics import runfile  # noqa: PLC0415
    from analytics.client import AnalyticsClient  # noqa: PLC0415

    running = runfile.read(settings.data_dir)
    return None if running is None else AnalyticsClient(running.url, running.token)


@app.command()
def erase(
    session: Annotated[str | None, typer.Argument(help="A session's id.", show_default=False)] = None,
    subject: Annotated[
        str | None, typer.Option(help="Every session that was started for this subject.", show_default=False)
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Then search every store for the session; exit code 1 if it is found.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Erase a session, or all of a subject: keys, rows, Kafka's log, recovery stores, recordings, reports.

    A live session is ended. What is sealed with its keys (pictures, sound, recordings) is unreadable at once, wherever
    copies lie; the rest takes seconds. Repeating it is harmless. docs/privacy.md says what is proven by --verify.
    """
    if (session is None) == (subject is None):
        raise SettingsError("give either a session's id or --subject")
    settings = read_settings(data_dir=data_dir)
    api = _api(settings)
    if api is None:
        _ask_offline(settings, session)
        return
    with api:
        names, asked = _ask(api, session, subject)
        if not asked:
            console.print(f"no session was started for {subject}")
        results = [_await(api, each, session) for each in asked]
        proofs = [api.verify_erasure(name) for name in names] if verify else []
    for proof in proofs:
        _show(proof)
    if as_json:
        typer.echo(json.dumps({"erased": results, "proofs": proofs}))
    if any(not proof["ok"] for proof in proofs):
        sys.exit(1)


def _ask(api: "AnalyticsClient", session: str | None, subject: str | None) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Ids, and what the API answered to each request."""
    if session is not None:
        return [session], [api.erase(session)]
    assert subject is not None
    from analytics.notebook import literal  # noqa: PLC0415

    # Afterwards nobody knows which sessions these were.
    statement = f"SELECT DISTINCT session_id FROM sessions WHERE subject = {literal(subject)}"  # noqa: S608
    names = [str(row[0]) for row in api.sql(statement)["rows"]]
    return names, [*api.erase_subject(subject)]


def _await(api: "AnalyticsClient", asked: Mapping[str, Any], session: str | None) -> Mapping[str, Any]:
    """The request once it is finished; AffectstreamError after :data:`DEADLINE_S`."""
    until = time.monotonic() + DEADLINE_S
    told: set[str] = set()
    while True:
        now = api.erasure(session) if session is not None else _numbered(api, asked["number"])
        for step in now["done"]:
            if step not in told:
                told.add(step)
                progress(f"{STEPS.get(step, step)}: done")
        if now["finished_at_us"] is not None:
            took_s = (now["finished_at_us"] - now["asked_at_us"]) / 1e6
            counts = ", ".join(f"{count:,} {what}" for what, count in now["counts"].items() if count)
            console.print(f"request {now['number']}: erased within {took_s:.1f} s: {counts}", soft_wrap=True)
            return now
        if time.monotonic() > until:
            why = now["problem"] or "it takes longer than usual"
            raise AffectstreamError(f"not finished within {DEADLINE_S:g} s, and goes on: {why}")
        time.sleep(ASK_S)


def _numbered(api: "AnalyticsClient", number: int) -> Mapping[str, Any]:
    return next(each for each in api.erasures(limit=10_000) if each["number"] == number)


def _ask_offline(settings: "Settings", session: str | None) -> None:
    """Without an analytics role the request is taken, and the keys are destroyed: the rest waits for the role."""
    if session is None:
        raise SettingsError("the analytics role does not run here: start it to erase by subject")
    from runtime.clock import SystemClock  # noqa: PLC0415
    from runtime.erasures import Erasures  # noqa: PLC0415
    from runtime.keystore import key_store  # noqa: PLC0415

    Erasures(key_store(settings.data_dir)).ask(session, "session", "operator", now_us=SystemClock().now_us())
    console.print(
        "[yellow]The analytics role does not run here.[/yellow] The session's keys are destroyed, so what is sealed is "
        "unreadable. Rows and records are erased once the role runs.",
        soft_wrap=True,
    )


def _show(proof: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("store")
    table.add_column("searched", style="dim")
    table.add_column("found", justify="right")
    table.add_column("")
    for each in proof["stores"]:
        style = "red" if each["found"] and not each["waits"] else ""
        remark = each["waits"] or each["where"]
        table.add_row(each["store"], each["searched"], str(each["found"]), remark, style=style)
    console.print(table)
    verdict = "[green]nothing readable is left[/green]" if proof["ok"] else "[red]something is left[/red]"
    console.print(f"{verdict} (searched in {proof['seconds']:.1f} s)")


@app.command()
def erasures(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """What was erased, when, and who asked for it by role: the audit, without personal data."""
    from runtime.erasures import Erasures  # noqa: PLC0415
    from runtime.keystore import key_store  # noqa: PLC0415

    found = Erasures(key_store(read_settings(data_dir=data_dir).data_dir)).newest(limit=limit)
    if as_json:
        typer.echo(json.dumps([dict(each.audit()) for each in found]))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("request", "digest", "what", "asked by", "asked at", "state", "came to"):
        table.add_column(name)
    for each in found:
        finished = each.finished_at_us
        state = f"done after {(finished - each.asked_at_us) / 1e6:.1f} s" if finished else each.problem or "under way"
        rows = sum(count for what, count in each.counts.items() if what.startswith("rows"))
        records = sum(count for what, count in each.counts.items() if what.startswith("records"))
        asked = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(each.asked_at_us / 1e6))
        table.add_row(
            str(each.number), each.digest[:12], each.scope, each.asked_by, asked, state,
            f"{rows:,} rows, {records:,} records",
        )  # fmt: skip
    Console().print(table if found else "nothing was erased yet")


def retention(data_dir: DataDir = None, as_json: Json = False) -> None:
    """How long everything is kept: topics, tables, keys; what is configured, and what is enforced.

    AFFECTSTREAM_RETENTION_DAYS changes tables, AFFECTSTREAM_RETENTION_HOURS topics; each takes effect at the next
    start of the role, or of `affectstream topics create`.
    """
    from analytics.retention_report import report  # noqa: PLC0415

    found = report(read_settings(data_dir=data_dir))
    if as_json:
        typer.echo(json.dumps([each.keys() for each in found]))
    else:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("store", "what it holds", "configured", "enforced"):
            table.add_column(name)
        for each in found:
            agrees = each.enforced == each.configured
            table.add_row(
                each.store,
                each.holds,
                each.configured,
                each.enforced,
                style="" if agrees or not each.enforced else "red",
            )
        Console().print(table)
    if any(each.enforced and each.enforced != each.configured for each in found):
        sys.exit(1)
