"""The golden examples are what the schemas say, byte for byte, and every topic has one."""

import json

import pytest

from schemas.codec import Codec, DecodeError
from schemas.records import TOP_LEVEL
from schemas.topics import topic_specs
from tests.support.golden import FOLDER, examples, readable

CODEC = Codec()


@pytest.mark.parametrize("name", examples())
def test_example_has_these_very_bytes(name):
    record = examples()[name]
    path = FOLDER / f"{name}.json"
    assert json.loads(path.read_text(encoding="utf-8")) == readable(record)
    assert path.with_suffix(".avro").read_bytes() == CODEC.encode(record)
    assert CODEC.decode(type(record), path.with_suffix(".avro").read_bytes()) == record


@pytest.mark.parametrize("name", examples())
def test_example_is_of_its_topics_schema(name):
    topic = name.partition("/")[0]
    assert type(examples()[name]).__name__ == topic_specs()[topic].schema


def test_every_topic_has_an_example_and_a_known_schema():
    assert {name.partition("/")[0] for name in examples()} == set(topic_specs())
    assert {spec.schema for spec in topic_specs().values()} == set(TOP_LEVEL)
    assert {path.parent.name + "/" + path.stem for path in FOLDER.glob("*/*.json")} == set(examples())


@pytest.mark.parametrize("name", examples())
def test_truncated_lengthened_and_foreign_bytes_are_refused(name):
    record = examples()[name]
    data = CODEC.encode(record)
    for bad in (None, b"", data[:9], data[:-1], data + b"\0", b"\0" * len(data), b"{}" + data[2:]):
        with pytest.raises(DecodeError):
            CODEC.decode(type(record), bad)


def test_a_record_of_another_schema_is_refused():
    data = CODEC.encode(examples()["media.audio/chunk"])
    with pytest.raises(DecodeError, match="fingerprint"):
        CODEC.decode(TOP_LEVEL["VideoFrame"], data)
