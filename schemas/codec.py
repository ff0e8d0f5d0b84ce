"""Records to bytes and back: Avro with single-object or Confluent framing.

Single-object encoding (Avro specification 1.12, "Single-object encoding"): ``C3 01``, the little-endian
CRC-64-AVRO fingerprint of the schema's parsing canonical form, the datum. Confluent's wire format: ``00``, the
schema's big-endian id in the registry, the datum.
"""

import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

import fastavro
import fastavro.schema

from schemas.records import NESTED, TOP_LEVEL, Record

R = TypeVar("R", bound=Record)

SCHEMA_FOLDER: Final = Path(__file__).parent / "avro"
HISTORY_FOLDER: Final = Path(__file__).parent / "history"
SINGLE_OBJECT_MARKER: Final = b"\xc3\x01"


class DecodeError(ValueError):
    """Bytes that are not a record of the expected schema; the message says what is wrong, never the content."""


class Framing(Protocol):
    """What stands before the datum and names its schema."""

    def prefix(self, schema_name: str) -> bytes:
        """Return the bytes to put before a datum of this schema."""
        ...

    def strip(self, schema_name: str, data: bytes) -> tuple[Any, int]:
        """Return the parsed schema that wrote ``data`` and where the datum starts; raise DecodeError."""
        ...


@cache
def schema_text(name: str) -> str:
    """The schema ``name`` as it stands in ``schemas/avro/``."""
    return (SCHEMA_FOLDER / f"{name}.avsc").read_text(encoding="utf-8")


@cache
def parsed_schema(name: str) -> Any:
    """The schema ``name``, parsed by fastavro."""
    return fastavro.parse_schema(json.loads(schema_text(name)))


@cache
def fingerprint(name: str) -> bytes:
    """CRC-64-AVRO fingerprint of the schema's parsing canonical form, 8 bytes little-endian."""
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(schema_text(name)))
    # fastavro gives the fingerprint as the hex of the little-endian bytes.
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@cache
def _earlier_versions() -> Mapping[bytes, tuple[str, Any]]:
    """Fingerprint -> (record name, parsed schema) of every version in ``schemas/history/``."""
    versions: dict[bytes, tuple[str, Any]] = {}
    for path in sorted(HISTORY_FOLDER.glob("*.avsc")):
        name, _, mark = path.stem.partition("-")
        versions[bytes.fromhex(mark)] = (name, fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8"))))
    return versions


class SingleObject:
    """Avro single-object encoding; a reader knows every version of the schemas that has ever landed."""

    def prefix(self, schema_name: str) -> bytes:
        return _single_object_prefix(schema_name)

    def strip(self, schema_name: str, data: bytes) -> tuple[Any, int]:
        if data[:10] != _single_object_prefix(schema_name):
            if data[:2] != SINGLE_OBJECT_MARKER:
                msg = f"not Avro single-object encoding: starts with {data[:2].hex() or 'nothing'}, not c301"
                raise DecodeError(msg)
            earlier = _earlier_versions().get(data[2:10])
            if earlier is not None and earlier[0] == schema_name:
                return earlier[1], 10
            wanted = fingerprint(schema_name).hex()
            msg = f"schema fingerprint {data[2:10].hex()} is not that of {schema_name} ({wanted})"
            raise DecodeError(msg)
        return parsed_schema(schema_name), 10


@cache
def _single_object_prefix(name: str) -> bytes:
    return SINGLE_OBJECT_MARKER + fingerprint(name)


class Confluent:
    """Confluent wire format; ids come from, and unknown ids are looked up in, a Schema Registry.

    ``register`` takes a schema's name and text and returns its id; ``lookup`` takes an id and returns a schema's
    text. Both may block and raise; :mod:`runtime.registry` provides them.
    """

    def __init__(self, register: Callable[[str, str], int], lookup: Callable[[int], str]) -> None:
        self._register = register
        self._lookup = lookup
        self._ids: dict[str, bytes] = {}
        self._schemas: dict[int, Any] = {}

    def prefix(self, schema_name: str) -> bytes:
        found = self._ids.get(schema_name)
        if found is None:
            found = struct.pack(">bI", 0, self._register(schema_name, schema_text(schema_name)))
            self._ids[schema_name] = found
        return found

    def strip(self, schema_name: str, data: bytes) -> tuple[Any, int]:
        del schema_name  # the id in the data names the writer's schema
        if len(data) < 5 or data[0] != 0:
            msg = "not Confluent wire format: the first byte is not 0"
            raise DecodeError(msg)
        (schema_id,) = struct.unpack_from(">I", data, 1)
        schema = self._schemas.get(schema_id)
        if schema is None:
            schema = fastavro.parse_schema(json.loads(self._lookup(schema_id)))
            self._schemas[schema_id] = schema
        return schema, 5


def to_plain(record: Any) -> Any:
    """A record as what fastavro writes: dictionaries, and (name, dictionary) for members of a union."""
    result: dict[str, Any] = {}
    for name in _FIELDS[type(record).__name__]:
        value = getattr(record, name)
        kind = type(value).__name__
        if kind in NESTED:
            plain = to_plain(value)
            # A named record inside a union is told apart by its full name.
            result[name] = (f"affectstream.{kind}", plain) if (type(record).__name__, name) in _UNIONS else plain
        else:
            result[name] = value
    return result


_UNIONS: Final = {("Signal", "payload"), ("SessionStarted", "calibration"), ("SessionStarted", "experiment")}


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(f.name for f in fields(cls)) for name, cls in {**NESTED, **TOP_LEVEL}.items()
}


def _build(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        short = value[0].rpartition(".")[2]
        return _from_plain(NESTED[short], value[1])
    if isinstance(value, list):
        return tuple(value)
    return value


def _from_plain(cls: type[Any], plain: Mapping[str, Any]) -> Any:
    values = {name: _build(plain[name]) for name in _FIELDS[cls.__name__] if name in plain}
    config = values.get("config")
    if isinstance(config, dict):
        values["config"] = _from_plain(NESTED["FusionConfig"], config)
    return cls(**values)


class Codec:
    """Encodes and decodes the product's records with one framing.

    Not bound to a thread: :meth:`encode` and :meth:`decode` share nothing that changes but the framing's caches.
    """

    def __init__(self, framing: Framing | None = None) -> None:
        self._framing: Framing = framing or SingleObject()

    def prefix(self, cls: type[Record]) -> bytes:
        """What stands before every datum of ``cls`` that this codec writes."""
        return self._framing.prefix(cls.__name__)

    def encode(self, record: Record) -> bytes:
        """Bytes of ``record``; raises ValueError or TypeError if a field does not fit the schema."""
        name = type(record).__name__
        out = io.BytesIO()
        out.write(self._framing.prefix(name))
        fastavro.schemaless_writer(out, parsed_schema(name), to_plain(record))
        return out.getvalue()

    def decode(self, cls: type[R], data: bytes | None) -> R:
        """The record in ``data``, written with this or an older version of its schema; raises DecodeError."""
        name = cls.__name__
        if not data:
            msg = f"empty value where a {name} was expected"
            raise DecodeError(msg)
        writer, start = self._framing.strip(name, data)
        stream = io.BytesIO(data)
        stream.seek(start)
        try:
            plain = fastavro.schemaless_reader(stream, writer, parsed_schema(name), return_record_name=True)
        except Exception as error:  # fastavro raises many kinds for bytes that do not fit
            msg = f"not a {name}: {type(error).__name__}"
            raise DecodeError(msg) from error
        if stream.read(1):
            msg = f"not a {name}: {len(data) - stream.tell() + 1} bytes left over"
            raise DecodeError(msg)
        return cast("R", _from_plain(TOP_LEVEL[name], cast("Mapping[str, Any]", plain)))
