"""How values look in the pages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from keelwatch.console.views import format as form

NOW = datetime(2026, 11, 23, 16, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("then", "shown"),
    [
        ("2026-11-23T16:12:58Z", "just now"),
        ("2026-11-23T16:12:20Z", "40 seconds ago"),
        ("2026-11-23T16:12:00Z", "1 minute ago"),
        ("2026-11-23T14:00:00.5Z", "2 hours ago"),
        ("2026-11-20T14:00:00Z", "3 days ago"),
        (None, "never"),
        ("1970-01-01T00:00:00Z", "never"),
    ],
)
def test_ago(then: str | None, shown: str) -> None:
    assert form.ago(then, NOW) == shown


def test_stamp_names_the_year_only_when_it_is_another() -> None:
    year = datetime.now(UTC).year
    assert form.stamp(f"{year}-11-23T16:12:57.123456789Z", 3) == "11-23 16:12:57.123"
    assert form.stamp("2019-11-23T16:12:57.1Z") == "2019-11-23 16:12:57"
    assert form.stamp("") == form.stamp(None) == form.stamp("nonsense") == ""


def test_sizes_numbers_modes() -> None:
    assert form.byte_size(17) == "17 bytes"
    assert form.byte_size(918_272) == "896.8 KiB (918,272 bytes)"
    assert form.number(1_234_567) == "1,234,567"
    assert form.number(None) == "0"
    assert form.mode(0o104755) == "4755"


@given(st.text(), st.text())
def test_marking_never_lets_markup_through(text: str, needle: str) -> None:
    shown = form.marked(text, needle)
    bare = str(shown).replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    assert ">" not in bare
    assert isinstance(shown, Markup)


def test_marking_marks_every_occurrence() -> None:
    assert form.marked("a<b a<b", "a<") == "<mark>a&lt;</mark>b <mark>a&lt;</mark>b"


@given(st.text())
def test_class_names_are_harmless(text: str) -> None:
    assert set(form.slug(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert form.hue(text) in {f"i{number}" for number in range(form.HUES)}


def test_addresses_keep_the_other_filters() -> None:
    query = {"namespace": "a&b", "since": "1h", "until": ""}
    assert form.with_query(query, since="24h", live=None) == "?namespace=a%26b&since=24h"
    assert form.with_query(query, namespace=None) == "?since=1h"


def test_addresses_of_workloads() -> None:
    record = {"namespace": "", "workload_kind": "Container", "workload": "web/1?"}
    assert form.workload_path(record) == "/workloads/-/Container/web%2F1%3F"
    assert form.workload_query(record) == "workload=Container%2Fweb%2F1%3F&since=7d"
    assert form.workload_name({"workload_kind": "Unheard", "workload": "x"}) == "x"
    assert form.workload_path({"namespace": "a/b", "workload": "x"}).startswith("/workloads?namespace=a%2Fb")


def test_instances_are_named_by_what_is_known() -> None:
    assert form.instance({"pod": "p", "container": "c"}) == "p/c"
    assert form.instance({"pod": "p", "container": ""}) == "p"
    assert form.instance({"container": "web"}) == "web"
    assert form.instance({"container_id": "a" * 64}) == "a" * 12
    assert form.instance({"node": "n"}) == "n"
    assert form.instance({}) == "-"


def test_gaps_tell_what_or_how_long() -> None:
    times = {"from_time": "2026-11-23T16:00:00Z", "to_time": "2026-11-23T16:06:00Z"}
    assert form.lost({"amount": 1200, "unit": "events", **times}) == "1,200 events"
    assert form.lost({"amount": 1, "unit": "intervals", **times}) == "6 min"
    assert form.lost({"amount": 1, "unit": "intervals"}) == "a moment"
