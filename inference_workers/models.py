"""The workers' model files: ``models.yaml``, and where its files lie in the cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from runtime import assets
from runtime.assets import Asset, Progress, State
from runtime.errors import ModelError
from runtime.settings import Settings

MANIFEST: Final = Path(__file__).parent / "models.yaml"


@dataclass(frozen=True, slots=True)
class Listed:
    """A model of the manifest and what the cache has of it."""

    asset: Asset
    path: Path
    state: State


@cache
def manifest() -> Mapping[str, Asset]:
    """Every model by name."""
    return assets.load_manifest(MANIFEST)


def folder(settings: Settings) -> Path:
    """Where model files are kept."""
    return settings.cache_dir / "models"


def listing(settings: Settings) -> Sequence[Listed]:
    """Every model of the manifest with its state in the cache; reads and sums the files."""
    where = folder(settings)
    return [Listed(asset, where / asset.file, assets.state_of(asset, where)) for asset in manifest().values()]


def pull(
    settings: Settings, names: Sequence[str] | None = None, progress: Progress = assets.log_progress
) -> Mapping[str, Path]:
    """Fetch the named models, or the defaults; returns their paths by name.

    Blocks while it downloads. Raises ModelError for an unknown name or if no source gives the right file.
    """
    wanted = [name for name, asset in manifest().items() if asset.default] if names is None else names
    return assets.fetch_all([_asset(name) for name in wanted], folder(settings), progress)


def locate(settings: Settings, name: str) -> Path:
    """Path of a model that was pulled before, its sum checked; raises PrerequisiteError saying how to pull it."""
    return assets.locate(_asset(name), folder(settings), how=f"run `affectstream models pull {name}`")


def _asset(name: str) -> Asset:
    found = manifest().get(name)
    if found is None:
        raise ModelError(f"no model is called {name!r}; known: {', '.join(manifest())}")
    return found
