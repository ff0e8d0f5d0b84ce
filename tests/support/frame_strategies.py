"""Avatar frames of every kind, for Hypothesis."""

from dataclasses import replace

from hypothesis import strategies as st

from schemas.records import AvatarFrame
from tests.support.frames import avatar_frame


def avatar_frames() -> st.SearchStrategy[AvatarFrame]:
    """Frames that the schema allows, those of the product among them."""
    return st.builds(
        lambda name, sequence, captured, flags, mapping, fixed: replace(
            avatar_frame(name, 0),
            captured_at_us=captured,
            sequence=sequence,
            discontinuity=flags[0],
            face_live=flags[1],
            speech_live=flags[2],
            viseme_mouth=flags[3],
            closed_by_max_wait=flags[4],
            mapping=mapping,
            blendshapes=fixed,
            face_hops_ms=(-3.5, 0.25, 1.0, 2.0, float("nan")),
        ),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=80) | st.text("abc-0", min_size=1, max_size=70),
        st.integers(0, (1 << 32) - 1) | st.integers(0, 1 << 20),
        st.integers(0, 1 << 56) | st.integers(1 << 50, 1 << 53),
        st.tuples(*[st.booleans()] * 5),
        st.sampled_from(("direct_au", "emotion_style", "blend")),
        st.binary(min_size=52, max_size=52),
    )
