"""The packed form of frames, and the example by which the page's reader is tested."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from egress.packed import FRAME_BYTES, pack
from egress.projection import Instants, avatar_frame, emotion_update
from schemas.codec import Codec
from schemas.records import AvatarFrame

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "web" / "tests" / "protocol" / "packed.json"
EXAMPLE = (ROOT / "schemas/examples/avatar.frames/frame.avro").read_bytes()
FRAME = replace(Codec().decode(AvatarFrame, EXAMPLE), sequence=234)  # one with an emotion_update
INSTANTS = Instants(FRAME.captured_at_us + 21_000, FRAME.captured_at_us + 24_500)


def example():
    """What the golden file holds; write it anew with ``python -m tests.contract.test_packed_frame``."""
    return {
        "packed": pack(FRAME, INSTANTS).hex(),
        "avatar_frame": avatar_frame(FRAME, INSTANTS),
        "emotion_update": emotion_update(FRAME),
    }


def test_the_pages_example_is_what_is_sent():
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == example()


def test_the_layout_is_as_described():
    data = pack(FRAME, INSTANTS)
    assert len(data) == FRAME_BYTES + len(FRAME.session_id) == 192 + data[2]
    assert data[0] == 1
    assert struct.unpack_from("<Iq", data, 4) == (FRAME.sequence, FRAME.captured_at_us)
    assert struct.unpack_from("<2f", data, 16) == (21.0, 24.5)
    assert data[64:71] == FRAME.emotions
    assert data[71:79] == FRAME.levels
    assert data[79:99] == FRAME.aus
    assert data[99:151] == FRAME.blendshapes
    assert data[151:166] == FRAME.visemes
    assert data[166:176] == FRAME.affect
    assert data[176:192] == FRAME.angles
    assert data[192:].decode() == FRAME.session_id


@pytest.mark.parametrize("modality", ["face", "speech"])
def test_hops_of_a_modality_that_did_not_count_are_nan(modality):
    hops = struct.unpack_from("<5f", pack(FRAME, INSTANTS), 24 if modality == "face" else 44)
    counted = getattr(FRAME, f"{modality}_hops_ms")
    assert all(
        a == pytest.approx(b, abs=0.01) or (math.isnan(a) and math.isnan(b)) for a, b in zip(hops, counted, strict=True)
    )


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(example(), indent=2) + "\n", encoding="utf-8")
