"""Running the product in production: roles, how many of them, addresses for those who look at it."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.ports import PAGE_PORT
from cli.roles import RoleName
from cli.terminal import DataDir, read_settings, require_token_key
from cli.tokens import TenantOption


def run(
    role: Annotated[RoleName, typer.Argument(help="What this process shall be.")],
    instance: Annotated[str | None, typer.Option(help="Tells replicas of a role apart.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port, if the role has one.", show_default=False)] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Prometheus port.", show_default=False)] = None,
    partitions: Annotated[
        str | None,
        typer.Option(
            help="fusion: the group of partitions that this process takes, as in 0-5 or 0,2,7-9. Default: all of them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be one role of the product until SIGTERM, as in production. Settings come from the environment."""
    from cli.partitions import parse_partitions, require_partitions_for
    from cli.roles import run_role, spare_threads

    spare_threads(os.environ)
    owned = None if partitions is None else parse_partitions(partitions)
    require_partitions_for(role, owned)
    run_role(role, read_settings(instance=instance, port=port, metrics_port=metrics_port), owned)


def rescale(
    groups: Annotated[list[str], typer.Argument(help="The new groups, as in: 0-2 3-5")],
    data_dir: DataDir = None,
) -> None:
    """Share the partitions of fusion's recovery stores anew: one group becomes several, or several one.

    Stop the fusion processes of the old groups first, and bring their stores together in one data folder. Then start
    `affectstream run fusion --partitions GROUP` for each of the new ones.
    """
    from cli.partitions import parse_partitions
    from dataflows.rescale import rescale as share_anew

    for path in share_anew(read_settings(data_dir=data_dir), [parse_partitions(group) for group in groups]):
        typer.echo(path)


def plan(  # noqa: PLR0917 - options, given by name
    sessions: Annotated[int, typer.Option(help="At once, at the busiest hour.", min=1)],
    media: Annotated[
        float, typer.Option(help="Share of sessions whose camera and microphone the workers analyse.", min=0, max=1)
    ] = 0.0,
    viewers: Annotated[float, typer.Option(help="Of each session.", min=0)] = 1.0,
    busy: Annotated[float, typer.Option(help="Mean of the day over its busiest hour.", min=0, max=1)] = 0.35,
    figures: Annotated[
        Path | None, typer.Option(help="Another file of figures.", show_default=False, dir_okay=False)
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Let parts of it fail for some days.")] = False,
    days: Annotated[float, typer.Option(help="Of the simulation.", min=0.01, max=3_650)] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How many partitions, brokers, processes, disks and how much network so many sessions take.

    From the measured cost of a session, with the formulas and the sources of every figure. No prices.
    """
    from cli.planning import command, simulation
    from cli.planning.figures import FILE, read_figures
    from cli.planning.sizing import Demand, make_plan

    known = read_figures(figures or FILE)
    made = make_plan(known, Demand(sessions, media, viewers, busy))
    report = simulation.simulate(made, known, days=days, seed=seed) if simulate else None
    if as_json:
        typer.echo(command.as_json(made, report))
        return
    console = Console(highlight=False)
    command.show(made, known, console)
    if report is not None:
        command.show_simulation(report, console)


def wall(
    url: Annotated[str, typer.Option(help="Where the page is.")] = f"http://127.0.0.1:{PAGE_PORT}",
    hours: Annotated[float, typer.Option(help="For how long the address works.", min=0.01, max=24 * 31)] = 24.0,
    tenant: TenantOption = "default",
) -> None:
    """Print an address of the wall: every live session's avatar. A secret, for whoever has it sees them.

    It is signed with the deployment's own AFFECTSTREAM_TOKEN_KEY, which must be in the environment.
    """
    from cli.links import wall_link
    from cli.tokens import checked_tenant
    from runtime.clock import SystemClock

    require_token_key()
    whose, ttl_s = checked_tenant(tenant), int(hours * 3_600)
    typer.echo(wall_link(read_settings(), SystemClock(), url.rstrip("/"), ttl_s=ttl_s, tenant=whose))


def analyst(
    url: Annotated[str, typer.Option(help="Where the page is.")] = f"http://127.0.0.1:{PAGE_PORT}",
    hours: Annotated[float, typer.Option(help="For how long the address works.", min=0.01, max=24 * 31)] = 24.0,
    tenant: TenantOption = "default",
) -> None:
    """Print an address of the analyst page, which shows what is known of every session: a secret, as the wall's is.

    It reads and changes nothing. Signed with the deployment's own AFFECTSTREAM_TOKEN_KEY, which must be in the
    environment.
    """
    from cli.links import analyst_link
    from cli.tokens import checked_tenant
    from runtime.clock import SystemClock

    require_token_key()
    whose, ttl_s = checked_tenant(tenant), int(hours * 3_600)
    typer.echo(analyst_link(read_settings(), SystemClock(), url.rstrip("/"), ttl_s=ttl_s, tenant=whose))
