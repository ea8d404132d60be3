"""What the pages show, decided from records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.console.pages.login import local_path
from keelwatch.console.pages.reader import decode_cursor, encode_cursor
from keelwatch.console.views import alerts as view_alerts
from keelwatch.console.views import logs as view_logs
from keelwatch.console.views import overview as view_overview
from keelwatch.console.views.reader import FilterError, Reader


def test_priorities_stand_in_their_order_and_share_colours() -> None:
    counts = {
        "from": "2026-11-23T16:00:00Z",
        "step": 60,
        "counts": {"notice": [1, 0], "critical": [0, 2], "emergency": [1, 1], "odd": [0, 1], "debug": [0, 0]},
    }
    assert view_alerts.totals(counts) == [("emergency", 2), ("critical", 2), ("notice", 1), ("odd", 1)]
    chart = view_alerts.chart_of(counts)
    assert [(one["label"], one["values"]) for one in chart["series"]] == [
        ("critical", [1, 3]),
        ("notice", [1, 0]),
        ("quiet", [0, 1]),
    ]
    assert chart["from"] == datetime(2026, 11, 23, 16, tzinfo=UTC).timestamp()


def test_the_log_around_an_alert_is_its_workloads() -> None:
    names = {"cluster": "c", "namespace": "shop", "workload_kind": "Deployment", "workload": "checkout"}
    alert = {"time": "2026-11-23T16:12:57.5Z", "container_id": "x", **names}
    assert view_alerts.around_filters(alert) == {
        "cluster": "c",
        "namespace": "shop",
        "workload": "Deployment/checkout",
        "since": "2026-11-23T16:11:57.500000Z",
        "until": "2026-11-23T16:13:57.500000Z",
    }
    assert view_alerts.workload_filters({"container_id": "x"}) == {"container_id": "x"}
    assert view_alerts.workload_filters({}) == {"container_id": "-"}


class _Log:
    """Lines at the seconds given, as the store would choose them."""

    def __init__(self, times: list[str]) -> None:
        self.times = times

    def _between(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        since, until = filters["since"], filters["until"]
        return [{"time": time, "message": time} for time in self.times if since <= time < until]

    def rows(self, table: str, filters: Mapping[str, str], tail: int) -> list[dict[str, Any]]:
        assert table == "logs"
        return self._between(filters)[-tail:]

    def first_rows(self, table: str, filters: Mapping[str, str], count: int) -> list[dict[str, Any]]:
        assert table == "logs"
        return self._between(filters)[:count]


def test_the_moment_of_the_alert_is_shown_however_much_the_workload_writes() -> None:
    alert = {"time": "2026-11-23T16:12:30.000000000Z", "container_id": "x", "rule": "R", "id": "1",
             "priority": "Error", "workload": "w"}  # fmt: skip
    around = view_alerts.around_filters(alert)
    chatty = _Log(
        [f"2026-11-23T16:12:{second:02}.{part:03}000000Z" for second in range(60) for part in range(99)]
    )
    lines, cut = view_alerts.log_around(cast(Reader, chatty), alert, around)
    assert cut
    assert len(lines) == 2 * view_alerts.LINES_EACH_SIDE + 1
    assert lines[view_alerts.LINES_EACH_SIDE]["message"] == "2026-11-23T16:12:30.000000000Z"
    assert any(line["marked"] for line in lines)
    quiet = _Log(["2026-11-23T16:12:00.000000000Z", "2026-11-23T16:12:31.000000000Z"])
    lines, cut = view_alerts.log_around(cast(Reader, quiet), alert, around)
    assert (len(lines), cut) == (3, False)
    assert lines[1]["marked"]


def test_an_alert_about_the_host_concerns_the_container_whose_file_it_was() -> None:
    file = {"file_namespace": "shop", "file_workload": "checkout", "file_container_id": "y"}
    outside = {"container_id": "", "namespace": "", "workload": "", "workload_kind": "", **file}
    assert view_alerts.workload_filters(view_alerts.concerned(outside)) == {
        "namespace": "shop",
        "workload": "checkout",
    }
    inside = outside | {"container_id": "x", "namespace": "other", "workload": "w"}
    assert view_alerts.concerned(inside) is inside


@pytest.mark.parametrize(
    ("seen", "silent"),
    [("2026-11-23T16:12:00Z", False), ("2026-11-23T16:00:00Z", True), (None, True), ("", True)],
)
def test_an_agent_that_sends_nothing_is_silent(seen: str | None, silent: bool) -> None:
    now = datetime(2026, 11, 23, 16, 13, tzinfo=UTC)
    assert view_overview.is_silent({"last_seen": seen}, now) is silent


def test_workloads_with_alerts_come_first() -> None:
    workloads = [
        {
            "workload": "a",
            "alerts": 0,
            "last_seen": "3",
            "instances": [{"state": "running"}, {"state": "ended"}],
        },
        {"workload": "b", "alerts": 2, "last_seen": "1", "instances": []},
        {"workload": "c", "alerts": 0, "last_seen": "9", "instances": []},
    ]
    found = view_overview.by_urgency(workloads)
    assert [(one["workload"], one["running"]) for one in found] == [("b", 0), ("c", 0), ("a", 1)]


def test_records_of_every_table_become_lines() -> None:
    process = {"name": "sh", "pid": 7, "cmdline": "sh -c x"}
    records = [
        {"record": "log", "message": "hello", "stream": "stderr"},
        {
            "record": "event",
            "kind": "rename",
            "old_path": "/a",
            "path": "/b",
            "result": -13,
            "process": process,
        },
        {"record": "alert", "priority": "ERROR", "rule": "R", "output": "O", "id": "1"},
        {"record": "lifecycle", "kind": "container_started"},
        {"record": "gap", "what": "exec", "amount": 3, "unit": "events", "cause": "ring_full"},
        {"record": "audit", "user": "alice", "verb": "get", "uri": "/version?x", "code": 403},
        {
            "record": "access",
            "id": "7",
            "kind": "exec",
            "user": "alice",
            "command": "sh -c id",
            "confidence": "certain",
            "time": "2026-11-23T16:00:00Z",
            "ended": "2026-11-23T16:00:12Z",
            "running": 1,
        },
        {"record": "event", "kind": "exit", "detail": {"signal": 9}, "process": process},
        {"message": "of the log table"},
    ]
    lines = view_logs.timeline_lines(records)
    assert [line["message"] for line in lines] == [
        "hello",
        "rename /a → /b failed (-13) by sh[7] sh -c x",
        "error: R: O",
        "container started",
        "exec: 3 events lost, ring_full",
        "alice get /version, 403",
        "exec by alice: sh -c id, certain, ended after 12 s, left processes running",
        "exit signal 9 by sh[7] sh -c x",
        "of the log table",
    ]
    assert [line["href"] for line in lines] == ["", "", "/alerts/1", "", "", "", "/access/7", "", ""]


def test_a_chart_without_lines_is_none() -> None:
    empty = {"from": "2026-11-23T16:00:00Z", "step": 60, "counts": [0, 0], "stderr": [0, 0]}
    assert view_logs.chart_of(empty) is None
    some = view_logs.chart_of(empty | {"counts": [3, 4], "stderr": [1, 0]})
    assert some is not None
    assert [one["values"] for one in some["series"]] == [[1, 0], [2, 4]]


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 2**63), max_size=20))
def test_cursors_come_back_as_they_were(seen: dict[str, int]) -> None:
    assert decode_cursor(encode_cursor({"logs": seen})) == {"logs": seen}


@given(st.text() | st.binary().map(lambda raw: encode_cursor({"logs": {}})[: len(raw)]))
def test_no_cursor_that_somebody_made_up_breaks_the_page(text: str) -> None:
    try:
        found = decode_cursor(text)
    except FilterError:
        return
    assert all(isinstance(seq, int) for seq in found["logs"].values())


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("/alerts?x=1", "/alerts?x=1"), ("//evil", "/"), ("https://evil", "/"), ("/\\evil", "/"), ("", "/"),
     ("/a\r\nSet-Cookie: x", "/"), ("javascript:x", "/"), ("/\t/evil", "/")],
)  # fmt: skip
def test_going_on_leads_to_our_own_pages_only(wanted: str, given: str) -> None:
    assert local_path(wanted) == given
