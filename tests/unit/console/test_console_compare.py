"""The panel that compares instances: what links it makes, and what it says when it cannot answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from keelwatch.console.views.compare import MOST, compare_panel
from keelwatch.console.views.format import environment
from keelwatch.console.views.reader import FilterError, Reader

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\"'&grep=x"
FILTERS = {"since": "24h", "namespace": "shop", "workload": "Deployment/checkout"}


def value(number: int, instances: int = 1, of: int = 3) -> dict[str, Any]:
    among = [
        {"pod": f"{HOSTILE}{pod}", "container_id": f"{pod:064}", "node": "n"}
        for pod in range(min(5, instances))
    ]
    return {
        "value": f"{HOSTILE}{number}", "container": HOSTILE, "instances": instances, "of": of, "records": 1,
        "first_seen": "2026-11-23T16:00:00Z", "last_seen": "2026-11-23T16:00:00Z", "among": among,
        "example": HOSTILE * 100,
    }  # fmt: skip


class _Found:
    def __init__(self, *values: dict[str, Any]) -> None:
        self.values = values

    def compare(self, by: str, filters: Mapping[str, str], limit: int) -> dict[str, Any]:
        if by not in ("line", "process", "file"):
            raise FilterError(f"by: {by!r} cannot be compared")
        return {"by": by, "instances": 3, "values": list(self.values[:limit])}


def panel(by: str, *values: dict[str, Any]) -> dict[str, Any]:
    return compare_panel(cast(Reader, _Found(*values)), FILTERS, by)


def rendered(shown: dict[str, Any]) -> str:
    made = environment()
    return made.get_template("compare.html").render(query={"since": "24h"}, compare=shown)


def test_nothing_is_asked_until_something_is_chosen() -> None:
    html = rendered(compare_panel(cast(Reader, None), FILTERS, ""))
    assert 'href="?since=24h&amp;compare=process#compare"' in html
    assert "<table" not in html


def test_one_of_many_stands_out() -> None:
    shown = panel("process", value(1), value(2, 3), value(3, 40, 40), value(4, 1, 1))
    assert [one["rare"] for one in shown["values"]] == [True, False, False, False]
    assert [one["more"] for one in shown["values"]] == [0, 0, 35, 0]
    html = rendered(shown)
    assert "1 of 3" in html
    assert "and 35 more" in html


def test_a_line_leads_to_itself_in_the_log() -> None:
    [one] = panel("line", value(1))["values"]
    asked = parse_qs(urlsplit(one["lines"]).query)
    [grep] = asked.pop("grep")
    assert (HOSTILE * 100).startswith(grep)
    assert len(grep) == 200
    assert {name: values[0] for name, values in asked.items()} == FILTERS
    assert parse_qs(urlsplit(one["among"][0]["logs"]).query)["container_id"] == ["0" * 64]


def test_nothing_in_a_record_is_obeyed() -> None:
    for by in ("line", "process", "file"):
        html = rendered(panel(by, value(1)))
        assert "<script" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html


def test_only_the_rarest_are_shown() -> None:
    shown = panel("line", *map(value, range(MOST + 5)))
    assert len(shown["values"]) == MOST
    assert f"The rarest {MOST}" in rendered(shown)
    assert "The rarest" not in rendered(panel("line", *map(value, range(MOST))))


def test_a_question_that_is_none_is_told_in_the_panel() -> None:
    html = rendered(panel("<b>"))
    assert "cannot be compared" in html
    assert "<b>" not in html
