"""The folder of experiments: one YAML file each. The edge reads it at its start, analytics for every answer."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from runtime.errors import SettingsError
from schemas.experiments import Catalogue, Experiment, ExperimentError, parse_experiment

EXTENSION: Final = ".yaml"
MAX_BYTES: Final = 65_536


class _Loader(yaml.BaseLoader):
    """Every scalar is a text, so that no name is taken for a truth and no salt for a date; a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_experiments(folder: str | Path) -> Catalogue:
    """The experiments in ``folder`` (an empty text: none); SettingsError names every file and field that is wrong."""
    if not str(folder):
        return Catalogue()
    path = Path(folder)
    if not path.is_dir():
        raise SettingsError(f"AFFECTSTREAM_EXPERIMENTS_DIR: {path} is no folder")
    found: list[Experiment] = []
    faults: list[str] = []
    for file in sorted(path.iterdir()):
        if file.suffix == ".yml":
            faults.append(f"{file}: name it {file.with_suffix(EXTENSION).name}")
        if file.suffix != EXTENSION or file.name.startswith("."):
            continue
        try:
            found.append(read_experiment(file))
        except SettingsError as error:
            faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
    return Catalogue(found)


def read_experiment(file: Path) -> Experiment:
    """The experiment that one file defines; SettingsError names the file, the field, and what is wrong."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{file}: an experiment has at most {MAX_BYTES:,} bytes")
        raw = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - see _Loader
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    try:
        experiment = parse_experiment(raw)
    except ExperimentError as error:
        raise SettingsError("\n".join(f"{file}: {fault}" for fault in str(error).splitlines())) from error
    if file.stem != experiment.name:
        raise SettingsError(f"{file}: its name says {experiment.name!r}: the file must be {experiment.name}{EXTENSION}")
    return experiment
