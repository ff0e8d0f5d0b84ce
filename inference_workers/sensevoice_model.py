"""SenseVoice's files: what a directory of them must hold, how they are fetched, what they are and under which licence.

The weights are Alibaba's, under FunASR's model licence; they are not ours to ship, and never a default.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import yaml

from runtime.assets import State, digest_of
from runtime.errors import ModelError, PrerequisiteError
from runtime.settings import Settings

NAME: Final = "sensevoice"
WHAT: Final = "SenseVoiceSmall (Alibaba, FunAudioLLM): emotion, language and audio events of speech"
LICENCE: Final = "FunASR Model Open Source License 1.0"
LICENCE_NAME: Final = "FunASR 1.0"
LICENCE_IN_SHORT: Final = (
    "free to use, change and share if source and authors are named and the model keeps its name; for reference and "
    "learning, at one's own risk"
)
BYTES: Final = 940_000_000
"""About."""
HUB_ID: Final = "iic/SenseVoiceSmall"
HUB_IDS: Final = re.compile(r"^(hf:)?[A-Za-z0-9][\w.-]*/[\w.-]+$")
"""On ModelScope, or with ``hf:`` on Hugging Face."""

CONFIG: Final = "config.yaml"
STATISTICS: Final = "am.mvn"
TOKENS: Final = "tokens.json"
WEIGHTS: Final = "model.pt"
ONNX: Final = "model.onnx"
SUMS: Final = "SHA256SUMS"

Form = Literal["torch", "onnx"]
NEEDED: Final[dict[Form, tuple[str, ...]]] = {
    "torch": (CONFIG, "configuration.json", STATISTICS, TOKENS, WEIGHTS),
    "onnx": (CONFIG, STATISTICS, TOKENS, ONNX),
}
"""The rest, the text model above all, is named in ``configuration.json``; FunASR reads it."""
EXPORT: Final = f"affectstream models export {NAME}"
EXTRA: Final = "install the extra `sensevoice` (funasr, torch and torchaudio)"

Progress = Callable[[str], None]


def folder(settings: Settings) -> Path:
    """Where ``models pull sensevoice`` puts it."""
    return settings.cache_dir / "models" / NAME


def state(settings: Settings) -> State:
    """Whether ``models pull sensevoice`` was done, and what it fetched is still as it was."""
    path = folder(settings)
    if not (path / SUMS).exists():
        return "missing"
    return "altered" if altered_files(path) else "present"


def locate(settings: Settings, form: Form) -> Path:
    """Directory of the model that the settings name, whole and, if it was pulled, unaltered.

    A hub's id is fetched from that hub, which blocks; the operator has asked for that by naming it. Raises
    PrerequisiteError, ModelError.
    """
    named = settings.sensevoice_model
    if not named:
        path = folder(settings)
        if state(settings) == "missing":
            raise PrerequisiteError(
                f"{NAME} is not in {path}: run `affectstream models pull {NAME}`, or name a directory in "
                "AFFECTSTREAM_SENSEVOICE_MODEL"
            )
    elif not Path(named).exists() and HUB_IDS.match(named):
        path = from_hub(named, None)
    else:
        path = Path(named)
    check(path, form)
    return path


def check(path: Path, form: Form) -> None:
    """Raise ModelError that says which files a directory lacks, or which are altered since they were pulled."""
    if not path.is_dir():
        raise ModelError(f"{path} is no directory with SenseVoice in it")
    missing = [name for name in NEEDED[form] if not (path / name).is_file()]
    if missing == [ONNX]:
        raise ModelError(f"{path} has no {ONNX}: run `{EXPORT} --from {path}`")
    if missing:
        raise ModelError(f"{path} is no SenseVoice model: it lacks {', '.join(missing)}")
    try:
        model = yaml.safe_load((path / CONFIG).read_text(encoding="utf-8"))["model"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ModelError(f"{path / CONFIG} does not say which model it is: {error}") from error
    if model != "SenseVoiceSmall":
        raise ModelError(f"{path} holds {model}, not SenseVoiceSmall")
    altered = altered_files(path)
    if altered:
        raise ModelError(f"{path}: altered since it was pulled: {', '.join(altered)}; pull it again, or remove {SUMS}")


def token_list(path: Path) -> list[str]:
    """The model's own list of tokens; raises ModelError."""
    try:
        tokens = json.loads((path / TOKENS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path / TOKENS} is no list of tokens: {error}") from error
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelError(f"{path / TOKENS} is no list of tokens")
    return tokens


def pull(settings: Settings, progress: Progress, hub_id: str = HUB_ID) -> Path:
    """Fetch SenseVoice into the cache, check it, and write down its sums; blocks for the download.

    Alibaba publishes no sums: those of the first fetch are kept and compared from then on. Raises PrerequisiteError
    without the extra, ModelError if the hub cannot be reached or gives something else.
    """
    target = folder(settings)
    progress(f"{NAME}: {WHAT}, about {BYTES / 1e6:.0f} MB")
    progress(f"{NAME}: licence: {LICENCE} ({LICENCE_IN_SHORT})")
    if state(settings) != "present":
        progress(f"{NAME}: fetching {hub_id} …")
        from_hub(hub_id, target)
        check(target, "torch")
        write_sums(target)
    else:
        check(target, "torch")
    sums = hashlib.sha256((target / SUMS).read_bytes()).hexdigest()
    progress(f"{NAME}: in {target}, checked (SHA-256 of its sums {sums[:16]}…)")
    return target


def from_hub(hub_id: str, target: Path | None) -> Path:
    """Fetch all files of a hub's model into ``target`` (None: the hub's own cache); raises as :func:`pull`."""
    where = {"local_dir": str(target)} if target else {}
    try:
        if hub_id.startswith("hf:"):
            hub, named = "Hugging Face", hub_id.removeprefix("hf:")
            fetch = importlib.import_module("huggingface_hub").snapshot_download
        else:
            hub, named = "ModelScope", hub_id
            fetch = importlib.import_module("modelscope").snapshot_download
    except ImportError as error:
        raise PrerequisiteError(f"{hub_id} is on a hub of models: {EXTRA}") from error
    try:
        return Path(fetch(named, **where))
    except Exception as error:  # the hubs' clients have no common base for their errors
        said = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise ModelError(
            f"{hub} does not give {named}: {said}; where no hub can be reached, copy a directory from elsewhere and "
            "name it in AFFECTSTREAM_SENSEVOICE_MODEL"
        ) from error


def write_sums(path: Path) -> None:
    """Write down the sum of every file, in the form of sha256sum(1)."""
    lines = "".join(f"{digest_of(file)}  {file.relative_to(path).as_posix()}\n" for file in _files(path))
    (path / SUMS).write_text(lines, encoding="utf-8")


def altered_files(path: Path) -> list[str]:
    """Files that are not as they were when the sums were written down; none if there are no sums."""
    if not (path / SUMS).exists():
        return []
    lines = (path / SUMS).read_text(encoding="utf-8").splitlines()
    noted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    return [
        name
        for name, digest in noted.items()
        if not (path / name).is_file() or digest_of(path / name) != digest
    ]  # fmt: skip


def _files(path: Path) -> list[Path]:
    hidden = (".", "__")
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and file.name != SUMS and not file.relative_to(path).parts[0].startswith(hidden)
    )
