"""The vocabulary agrees with the schemas and the message contract."""

import json

from schemas import vocabulary as v
from schemas.codec import schema_text


def test_vectors_have_the_sizes_that_the_schemas_say():
    sizes = {
        field["type"]["name"]: field["type"]["size"]
        for field in json.loads(schema_text("AvatarFrame"))["fields"]
        if isinstance(field["type"], dict) and field["type"]["type"] == "fixed"
    }
    assert sizes == {
        "Emotions": len(v.EMOTIONS),
        "Affect": 2 * len(v.AFFECT),
        "Levels": len(v.LEVELS),
        "ActionUnits": len(v.AUS),
        "Angles": 2 * len(v.ANGLES),
        "Blendshapes": len(v.BLENDSHAPES),
        "Visemes": len(v.VISEMES),
    }
    assert (len(v.EMOTIONS), len(v.BLENDSHAPES), len(v.VISEMES), len(v.SIGNAL_HOPS)) == (7, 52, 15, 5)


def test_no_word_twice():
    for words in (v.EMOTIONS, v.AUS, v.BLENDSHAPES, v.VISEMES, v.ANGLES, v.AFFECT, v.LEVELS):
        assert len(set(words)) == len(words)
    assert set(v.AU_NAMES) == set(v.AUS)
    assert v.AU_NAMES["AU12"] == "smile"
    assert v.AU_NAMES["AU06"] == "cheek_raise"


def test_every_field_of_every_schema_is_documented():
    def walk(schema):
        if isinstance(schema, dict):
            if schema.get("type") == "record":
                assert schema.get("doc"), schema["name"]
                for field in schema["fields"]:
                    # partition and offset say it with their names.
                    assert field.get("doc") or field["name"] in {"partition", "offset"}, (schema["name"], field["name"])
            for value in schema.values():
                walk(value)
        elif isinstance(schema, list):
            for item in schema:
                walk(item)

    for name in ("AudioChunk", "VideoFrame", "Signal", "AvatarFrame", "ClientEvent", "DeadLetter", "LedgerEntry"):
        walk(json.loads(schema_text(name)))
