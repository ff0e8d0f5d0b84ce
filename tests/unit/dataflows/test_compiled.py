from pathlib import Path

from dataflows import compiled
from runtime.compiled import ROOT


def test_every_compiled_source_counts() -> None:
    assert all((ROOT / source).is_file() for source in compiled.RULES.sources)
    folder = Path(compiled.__file__).parent
    modules = {f"dataflows/{path.name}" for path in folder.glob("*.py") if "@compiled" in path.read_text()}
    assert modules <= set(compiled.RULES.sources)
