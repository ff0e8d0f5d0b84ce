import pytest

from ingest.app import freshness


@pytest.mark.parametrize(
    "path, kept",
    [
        ("", "no-cache"),
        ("wall", "no-cache"),
        ("assets/avatar-0123456789.glb", "public, max-age=31536000, immutable"),
        ("models/avatar.glb", "public, max-age=3600"),
        ("icon.svg", "public, max-age=3600"),
    ],
)
def test_only_what_is_named_by_its_content_is_kept_for_good(path, kept):
    suffix = "." + path.rpartition(".")[2] if "." in path else ".html"
    assert freshness(path, suffix) == kept
