"""A chain of somebody's own networks that read faces, described by a YAML file. Pure but for reading the file.

The file names a detector (left out: the shipped one) and heads. Each head is an ONNX file, or a model that a server
serves, with what it takes (size, layout, colours, and how pixels become numbers) and what its outputs mean.
``docs/face-chain.yaml`` has every key.

Labels are mapped onto our vocabulary. The probability of a label that is none of our emotions says nothing of which of
them it is: it is spread over all evenly, so that a face of which the head says "contempt" is one that we know less of.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from inference_workers.served import Address
from runtime.errors import ModelError
from schemas.vocabulary import AUS, EMOTIONS

SYNONYMS: Final[Mapping[str, str]] = {
    "anger": "angry",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
}
"""What corpora and models call our emotions otherwise."""
NONE: Final = "none"
"""In place of a label: what this number says is left out, or is none of our emotions."""
AXES: Final = ("valence", "arousal", "dominance")
AU: Final = re.compile(r"^au_?0?(\d{1,2})$")

Kind = Literal["emotions", "affect", "action_units"]
WORDS: Final[Mapping[Kind, Sequence[str]]] = {"emotions": EMOTIONS, "affect": AXES, "action_units": AUS}
"""What outputs of each kind may say."""
FULL_RANGE: Final[Mapping[Kind, tuple[float, float]]] = {
    "emotions": (0.0, 1.0), "affect": (-1.0, 1.0), "action_units": (0.0, 1.0)
}  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Output(_Part):
    """What numbers of one output of a network mean."""

    name: str = Field("", description="Of the output; empty: the only one.")
    says: Kind
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    first: Annotated[int, Field(ge=0)] = Field(0, description="Column of the first label.")
    activation: Literal["softmax", "sigmoid", "tanh", "none"] = Field(
        description="What makes the network's numbers those that they mean; none: they are."
    )
    temperature: Annotated[float, Field(gt=0)] = Field(1.0, description="Divides what softmax is taken of.")
    range: tuple[float, float] | None = Field(None, description="Of affect and AUs: their least and greatest value.")
    map: Mapping[str, str] = Field(default_factory=dict, description="Words of ours for labels that we do not know.")

    @model_validator(mode="after")
    def _fits(self) -> "Output":
        if self.says == "emotions" and (self.range is not None or self.activation == "tanh"):
            raise ValueError("emotions are probabilities: they have no range, and tanh gives none")
        if self.says != "emotions" and self.activation == "softmax":
            raise ValueError(f"softmax gives probabilities that exclude each other, which {self.says} do not")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: {self.range[0]} is not below {self.range[1]}")
        unused = sorted(set(self.map) - set(self.labels))
        if unused:
            raise ValueError(f"map: {', '.join(unused)}: no such label")
        said = [word for word in self.words if word is not None]
        if not said:
            raise ValueError("labels: none of them says anything")
        if self.says != "emotions" and (twice := sorted({word for word in said if said.count(word) > 1})):
            raise ValueError(f"labels: {', '.join(twice)} is said twice")
        return self

    @cached_property
    def words(self) -> tuple[str | None, ...]:
        """Our word for each label; None for those that are none of ours. Asked for with every face."""
        return tuple(self._word(label) for label in self.labels)

    @property
    def least_and_most(self) -> tuple[float, float]:
        """The values that stand for the ends of our own range."""
        return self.range or FULL_RANGE[self.says]

    def _word(self, label: str) -> str | None:
        word = self.map.get(label, label).strip().lower()
        if word == NONE:
            return None
        known = WORDS[self.says]
        if self.says == "emotions":
            word = SYNONYMS.get(word, word)
        elif self.says == "action_units" and (found := AU.match(word)):
            word = f"AU{int(found[1]):02}"
        if word not in known:
            raise ValueError(
                f"labels: {label!r} is none of {', '.join(known)}; "
                f"say under map what it is to us, or that it is `{NONE}`"
            )
        return word


class Input(_Part):
    """What a network takes: a square picture, ``(pixel / scale - mean) / std``, or bytes as they are."""

    name: str = Field("", description="Of the input; empty: the only one.")
    size: Annotated[int, Field(ge=16, le=1024)] = Field(description="Pixels of the picture's edge.")
    layout: Literal["nchw", "nhwc", "nhw"] = "nchw"
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    scale: Annotated[float, Field(gt=0)] = 255.0
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] = (0.0,)
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)] = (1.0,)

    @property
    def channels(self) -> int:
        """1 for grey, else 3."""
        return 1 if self.colour == "grey" else 3

    @model_validator(mode="after")
    def _fits(self) -> "Input":
        if self.layout == "nhw" and self.colour != "grey":
            raise ValueError("layout nhw has no place for colours: colour: grey, or another layout")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.channels}:
                raise ValueError(f"{name}: {len(values)} numbers for {self.channels} channels")
        return self


class Crop(_Part):
    """How the picture frames the face; see :class:`inference_workers.engines.face_crops.Framing`."""

    scale: Annotated[float, Field(ge=0.5, le=4.0)] = 1.2
    rise: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0
    upright: bool = True


class Head(_Part):
    """One network that reads a face."""

    file: Path | None = None
    server: str | None = Field(None, description="In place of a file: where it is served, scheme://host:port/model.")
    batch: Annotated[int, Field(ge=1, le=64)] = Field(8, description="How many faces a server is given at most.")
    input: Input
    crop: Crop = Crop()
    outputs: tuple[Output, ...]

    @field_validator("server")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return None if url is None else str(Address.of(url))

    @model_validator(mode="after")
    def _fits(self) -> "Head":
        if not self.outputs:
            raise ValueError("outputs: there are none, so it says nothing")
        if (self.file is None) == (self.server is None):
            raise ValueError("a network is either in a file or on a server: say one of them")
        if self.server is None and "batch" in self.model_fields_set:
            raise ValueError("batch: only servers are given several faces at once")
        return self

    @property
    def where(self) -> str:
        """The file or the server's address, for people."""
        return str(self.file or self.server)


class Detector(_Part):
    """A YuNet, or a network with its outputs."""

    file: Path
    side: Annotated[int, Field(ge=64, le=4096)] = Field(320, description="Pictures are looked at in this length.")
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.6


class FaceChain(_Part):
    """The file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
    version: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,19}$")]
    licence: Annotated[str, Field(min_length=1)] = Field(description="Of the networks' weights; said at the start.")
    detector: Detector | None = None
    heads: tuple[Head, ...] = ()

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "FaceChain":
        if not self.heads and self.detector is None:
            raise ValueError("neither heads nor a detector: there is nothing of your own in it")
        said: dict[str, str] = {}
        for where, output in self.outputs():
            words = {"emotions"} if output.says == "emotions" else {word for word in output.words if word}
            for word in sorted(words):
                if word in said:
                    raise ValueError(f"{where}: {said[word]} says {word} already")
                said[word] = where
        return self

    def outputs(self) -> Iterator[tuple[str, Output]]:
        """Every output of every head, and where it stands."""
        for i, head in enumerate(self.heads):
            for j, output in enumerate(head.outputs):
                yield f"heads.{i}.outputs.{j}", output

    @property
    def named(self) -> str:
        """Name and version for records."""
        return f"chain:{self.name}@{self.version}"


def load(path: Path) -> FaceChain:
    """Read a description; its files are those beside it. Raises ModelError that says what is wrong, and where."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ModelError(f"{path} is no YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{path} must be a mapping with name, version, licence and heads: see docs/face-chain.yaml")
    try:
        chain = FaceChain.model_validate(raw)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(each)}" for each in error.errors())
        raise ModelError(f"{path} describes no chain that can be used:\n{faults}") from error
    beside = path.resolve().parent
    detector = chain.detector and chain.detector.model_copy(update={"file": beside / chain.detector.file})
    heads = tuple(head.model_copy(update={"file": head.file and beside / head.file}) for head in chain.heads)
    return chain.model_copy(update={"detector": detector, "heads": heads})


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    what = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
