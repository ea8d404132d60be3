"""Golden pairs: rules and the function that is made of them for one kind of event.

`KEELWATCH_GOLDEN=write pytest tests/unit/detect/test_detect_compile.py` writes them anew; read the
difference before committing it.
"""

import os
from pathlib import Path

import pytest

from keelwatch.detect import parse_rules
from keelwatch.detect.compile import generate

GOLDEN = Path(__file__).parents[2] / "golden" / "compile"
CASES = sorted(GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_golden(case):
    rules = parse_rules(case.read_text())
    parts = []
    for kind in sorted(rules.kinds):
        source, _ = generate([rule.condition for rule in rules.rules if kind in rule.kinds], kind)
        parts.append(f"# {kind}\n{source}")
    made = "\n".join(parts)
    golden = case.with_suffix(".txt")
    if os.environ.get("KEELWATCH_GOLDEN") == "write":
        golden.write_text(made)
    assert golden.read_text() == made


def test_there_are_golden_pairs():
    assert len(CASES) >= 3
