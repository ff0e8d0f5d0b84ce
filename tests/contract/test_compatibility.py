"""Today's readers read what every landed version of a schema wrote."""

import io
import json
import random

import fastavro
import pytest
from fastavro.utils import generate_one

from schemas.codec import HISTORY_FOLDER, SINGLE_OBJECT_MARKER, Codec, fingerprint, parsed_schema
from schemas.records import TOP_LEVEL

LANDED = sorted(HISTORY_FOLDER.glob("*.avsc"))


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_present_version_is_in_the_history(name):
    assert (HISTORY_FOLDER / f"{name}-{fingerprint(name).hex()}.avsc").exists(), (
        "a schema changed: run `python -m tests.support.landed_schemas` and look at what changed"
    )


@pytest.mark.parametrize("path", LANDED, ids=lambda path: path.stem)
def test_what_a_landed_version_wrote_is_read_today(path):
    name, _, mark = path.stem.partition("-")
    writer = fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8")))
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(path.read_text(encoding="utf-8")))
    assert fastavro.schema.fingerprint(canonical, "CRC-64-AVRO") == mark, "a landed schema was edited"
    random.seed(7)
    for _ in range(50):
        datum = generate_one(writer)
        out = io.BytesIO()
        fastavro.schemaless_writer(out, writer, datum)
        framed = SINGLE_OBJECT_MARKER + bytes.fromhex(mark) + out.getvalue()
        record = Codec().decode(TOP_LEVEL[name], framed)
        # And today's form of it survives a round trip.
        assert Codec().decode(TOP_LEVEL[name], Codec().encode(record)) == record


def test_the_check_notices_an_incompatible_change():
    """A check of the check: a field added without a default must fail."""
    writer = parsed_schema("AudioChunk")
    broken = json.loads(json.dumps(writer))
    broken["fields"].append({"name": "added", "type": "string"})
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer, generate_one(writer))
    out.seek(0)
    with pytest.raises(Exception, match="added"):
        fastavro.schemaless_reader(out, writer, fastavro.parse_schema(broken))
