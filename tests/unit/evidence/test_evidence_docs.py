"""What coverage can say and be asked is in its page of the reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keelwatch.console.api.coverage import DESCRIPTIONS
from keelwatch.evidence.causes import LOSSES, MISSING, ROTATED
from keelwatch.evidence.question import PARAMETERS, read
from keelwatch.evidence.totals import GROUPS
from keelwatch.query.errors import QuestionError

PAGE = (Path(__file__).parents[3] / "docs/reference/coverage.md").read_text()
NAMED = set(re.findall(r"`([a-z_]+)`", PAGE))


def test_every_cause_in_its_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|.*\|.*\|.*\|$", PAGE, re.MULTILINE) == list(MISSING)
    assert LOSSES | {ROTATED} <= NAMED


def test_every_parameter_and_group() -> None:
    assert set(PARAMETERS) == DESCRIPTIONS.keys()
    assert set(PARAMETERS) <= NAMED
    assert all(name in PAGE for name in GROUPS)


def test_the_hubs_scope_is_replaced_by_the_question() -> None:
    now = 10**18
    assert read({}, now, "pci=in").scope.selector == "pci=in"
    assert read({"scope": "all"}, now, "pci=in").scope.selector == ""
    assert read({"scope": "a=b"}, now, "pci=in").scope.selector == "a=b"


def test_the_end_is_never_behind_now() -> None:
    now = 10**18
    asked = read({"since": "1h", "until": "2099-01-01T00:00:00Z"}, now)
    assert (asked.where.begin, asked.where.end) == (now - 3600 * 10**9, now)
    with pytest.raises(QuestionError):
        read({"since": "2099-01-01T00:00:00Z"}, now)
