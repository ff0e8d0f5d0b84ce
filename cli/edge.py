"""``affectstream edge``: one small box beside a camera, as one process tree that keeps no history."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console

from cli.deployment import Deployment
from cli.foreground import interruptible, show
from cli.profiles import EDGE
from runtime.errors import SettingsError
from runtime.settings import Settings

Progress = Callable[[str], None]


def own_folder(settings: Settings) -> Settings:
    """A data folder that no other command uses, unless one was named: this one is emptied at every start."""
    if "data_dir" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"data_dir": settings.data_dir / "edge"})


def run_edge(
    settings: Settings, environ: Mapping[str, str], *, port: int | None, console: Console, progress: Progress
) -> None:
    """Run the profile until Ctrl-C or SIGTERM; AffectstreamError if a part does not come up."""
    with interruptible():
        began_s = time.monotonic()
        if not EDGE.is_open(settings) and "token_key" not in settings.model_fields_set:
            raise SettingsError(
                f"at {settings.host} others reach it, and who starts sessions shows a token: set "
                "AFFECTSTREAM_TOKEN_KEY to what signs them (openssl rand -hex 32), or AFFECTSTREAM_OPEN_SESSIONS=true "
                "to let everybody"
            )
        _prepare(environ)
        deployment = Deployment(settings, environ, port=port, profile=EDGE)
        deployment.start(progress)
        try:
            progress(f"ready after {time.monotonic() - began_s:.1f} s")
            console.print(f"The page: [bold cyan]{deployment.addresses.ingest}[/]", soft_wrap=True)
            console.print(f"logs: {deployment.logs_dir}", style="dim", soft_wrap=True)
            show(deployment, console, progress)
        except KeyboardInterrupt:
            progress("stopping")
        finally:
            deployment.stop()


def _prepare(environ: Mapping[str, str]) -> None:
    """Set up what is missing, in a process of its own: the libraries for it would stay in memory as long as this one.

    Raises SystemExit with that process's exit code if it fails, after it has said why.
    """
    made = subprocess.run([sys.executable, "-m", "cli", "setup", "--no-sample"], env=dict(environ), check=False)
    if made.returncode:
        raise SystemExit(made.returncode)
