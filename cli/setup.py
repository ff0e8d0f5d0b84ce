"""``affectstream setup``: everything that can be prepared before the first run."""

from collections.abc import Callable, Mapping

from cli import broker, sample
from dataflows.compiled import RULES
from inference_workers import models
from runtime.assets import AssetEvent
from runtime.settings import Settings


def prepare_everything(
    settings: Settings, environ: Mapping[str, str], progress: Callable[[str], None], *, with_sample: bool = True
) -> None:
    """Kafka's jars and class archive (unless an own Kafka is named), models, sample session, compiled code.

    Each part is made where it is missing, so that a second call takes under a second. Raises PrerequisiteError if
    something must be installed first, ModelError if a file cannot be fetched.
    """

    def report(event: AssetEvent) -> None:
        if event.phase != "cached":
            progress(str(event))

    if not environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        broker.prepare(settings.cache_dir, progress)
    models.pull(settings, progress=report)
    if with_sample:
        sample.prepare(settings, progress)
    if not RULES.is_complete():
        progress("fusion: compiling its rules (half a minute, once)")
        # Imports the whole dataflow, which compiled code does not need.
        from dataflows.warm import compile_all  # noqa: PLC0415

        compile_all()
