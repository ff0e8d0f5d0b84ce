"""The compiled rules: what they are made from, and the decorator for them."""

from pathlib import Path
from typing import Final

from runtime.compiled import CodeCache

RULES: Final = CodeCache(
    Path(__file__).parent,
    (
        "dataflows/alignment.py",
        "dataflows/attention.py",
        "dataflows/attention_trial.py",
        "dataflows/calibration.py",
        "dataflows/compiled.py",
        "dataflows/core.py",
        "dataflows/layout.py",
        "dataflows/mapping.py",
        "dataflows/mouth.py",
        "dataflows/quantisation.py",
        "dataflows/roster.py",
        "dataflows/smoothing.py",
        "dataflows/wire.py",
        "runtime/compiled.py",
        "schemas/bulk.py",
        "schemas/fusion_config.py",
        "schemas/varints.py",
        "schemas/vocabulary.py",
    ),
)
"""Machine code of fusion's rules."""

compiled = RULES.compiled
