"""``affectstream egress …``: a session's frames to programs that do not speak our own protocol.

Like the rest of the command line, what a command needs is imported when it runs.
"""

from typing import Annotated

import typer

from cli.ports import PAGE_PORT
from cli.terminal import progress

app = typer.Typer(help="A session's frames to other programs.", no_args_is_help=True)


@app.callback()
def egress() -> None:
    """A session's frames to programs that do not speak our own protocol."""


@app.command()
def vmc(  # noqa: PLR0917 - options, given by name
    session: Annotated[str, typer.Option(help="The session's id.")],
    to: Annotated[str, typer.Option(help="Who receives: HOST:PORT (39539 by custom).")],
    token: Annotated[
        str,
        typer.Option(
            envvar="SESSION_TOKEN", help="A token of the session that may watch it: as POST /v1/sessions gave it."
        ),
    ],
    url: Annotated[str, typer.Option(help="The ingest edge, which says where its egress is.")] = (
        f"http://127.0.0.1:{PAGE_PORT}"
    ),
    egress_url: Annotated[
        str | None, typer.Option(help="The egress itself, as in ws://HOST:PORT.", show_default=False)
    ] = None,
    names: Annotated[
        str, typer.Option(help="Names of the blendshapes: arkit, perfect-sync, vrm0, vrm1; several with commas.")
    ] = "arkit",
) -> None:
    """Follow a session and send it by the VMC protocol (OSC over UDP): VSeeFace, Warudo, Unity with EVMC4U.

    Reconnects when the service restarts. When frames stop, the face relaxes. Ctrl-C ends it.
    """
    from cli.vmc import follow, parse_names, parse_target  # noqa: PLC0415

    sent = follow(
        session, token, parse_target(to), edge=url, egress=egress_url, names=parse_names(names), progress=progress
    )
    unsent = "".join(
        f", {count} {what}" for count, what in ((sent.unheard, "that nobody heard"), (sent.lost, "not sent")) if count
    )
    progress(f"{sent.frames} frames in {sent.datagrams} datagrams{unsent}")
