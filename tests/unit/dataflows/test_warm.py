from dataflows import warm
from dataflows.compiled import RULES
from dataflows.core import fuse


def test_warming_compiles_everything_and_says_so() -> None:
    warm.compile_all()
    assert RULES.is_complete()
    assert fuse.signatures
    assert not fuse.targetoptions.get("fastmath")
