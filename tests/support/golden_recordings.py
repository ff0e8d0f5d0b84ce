"""The golden recordings of ``tests/recordings``: made by the product itself.

``python -m tests.support.golden_recordings`` makes them anew: after an intended change of what frames are, and after
`affectstream regress tests/recordings` has shown that nothing else changed. They hold signals and frames, no media.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from analytics.recordings.reading import open_recording
from cli import sample
from cli.deployment import Deployment
from cli.recorder import record
from cli.replaying import replay_in_process
from cli.setup import prepare_everything
from client import Session, play
from runtime.clock import SystemClock
from runtime.settings import Settings
from tests.support.recordings import synthetic_arrivals, synthetic_recording

FOLDER: Final = Path(__file__).parents[1] / "recordings"
SAMPLE_S: Final = 6.0
SYNTHETIC_S: Final = 9.0
SYNTHETIC_SESSIONS: Final = 3
SEED: Final = 5


def sample_recording(path: Path) -> None:
    """The first seconds of the sample session, live through every role."""
    settings = Settings.from_env(os.environ)
    prepare_everything(settings, os.environ, print)
    played = sample.prepare(settings, print)
    with tempfile.TemporaryDirectory() as name:
        deployment = Deployment(settings.model_copy(update={"data_dir": Path(name)}), os.environ, port=0)
        deployment.start(print)
        try:
            session_id = asyncio.run(_play(deployment.addresses.ingest, played))
            record(deployment.settings, [session_id], path, SystemClock(), print, follow=True)
        finally:
            deployment.stop()


async def _play(url: str, played: sample.Sample) -> str:
    stop = asyncio.Event()

    def opened(_session: Session) -> None:
        asyncio.get_running_loop().call_later(SAMPLE_S, stop.set)

    return (await play(played.video, played.audio, url, opened=opened, stop=stop)).session_id


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    synthetic_recording(FOLDER / "synthetic.afr", synthetic_arrivals(SYNTHETIC_SESSIONS, SYNTHETIC_S, SEED))
    sample_recording(FOLDER / "sample.afr")
    for path in sorted(FOLDER.glob("*.afr")):
        replayed = replay_in_process(open_recording(path))
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes, {replayed.keys()}\n")


if __name__ == "__main__":
    main()
