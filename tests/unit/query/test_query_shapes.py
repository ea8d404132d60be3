"""Pure parts of the query layer: histogram steps, follow cursors, timelines, workloads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.query.filter import Filter
from keelwatch.query.follow import MAX_SPANS, advance, news
from keelwatch.query.histogram import Axis, axis, histogram
from keelwatch.query.records import Span
from keelwatch.query.timeline import TABLES, merged, tables_for
from keelwatch.query.times import NS
from keelwatch.query.workloads import workloads

NOW = 1_768_478_400 * NS


@given(st.integers(0, 4_000_000_000 * NS), st.integers(0, 400 * 86_400 * NS), st.integers(1, 1000))
def test_steps_cover_the_data_and_are_about_as_many_as_asked(begin: int, length: int, buckets: int) -> None:
    steps = axis(Filter(), NOW, buckets, (begin, begin + length))
    assert steps.begin <= begin
    assert begin + length <= steps.end
    assert (steps.end - steps.begin) % steps.step == 0
    assert 1 <= steps.buckets <= buckets + 2


def test_histogram_fills_empty_steps() -> None:
    found = histogram(Axis(0, 30 * NS, 10 * NS), [{"bucket": 2, "lines": "5", "stderr": 1}])
    assert found == {
        "from": "1970-01-01T00:00:00.000000000Z",
        "to": "1970-01-01T00:00:30.000000000Z",
        "step": 10,
        "counts": [0, 0, 5],
        "stderr": [0, 0, 1],
    }


_CURSORS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9))


@given(_CURSORS, _CURSORS)
def test_a_follower_sees_every_batch_once(seen: dict[str, int], stored: dict[str, int]) -> None:
    spans = news(seen, stored)
    for span in spans:
        assert (span.after, span.upto) == (seen.get(span.spool, 0), stored[span.spool])
        assert span.after < span.upto
    assert news(advance(seen, spans), stored) == []


def test_many_spools_are_taken_in_turns() -> None:
    stored = {f"s{n}": 1 for n in range(MAX_SPANS + 5)}
    first = news({}, stored)
    assert len(first) == MAX_SPANS
    assert len(news(advance({}, first), stored)) == 5
    assert first[0] == Span("s0", 0, 1)


def test_timeline_merges_by_time_and_keeps_the_last() -> None:
    parts = {"logs": [{"time": "1"}, {"time": "4"}], "alerts": [{"time": "2"}], "gaps": []}
    assert [record["record"] for record in merged(parts, 10)] == ["log", "alert", "log"]
    assert [record["time"] for record in merged(parts, 2)] == ["2", "4"]


def test_a_filter_of_one_table_leaves_the_others_out() -> None:
    assert tables_for(Filter()) == TABLES
    assert tables_for(Filter(stream="stderr")) == ("logs",)
    assert tables_for(Filter(priority="error")) == ("alerts",)
    assert tables_for(Filter(kind="exec")) == ("events", "alerts", "lifecycle", "access")
    assert tables_for(Filter(kind="open")) == ("events", "alerts", "lifecycle")


def _row(
    source: str, container: str, first: int, last: int, state: str = "", records: int = 1
) -> dict[str, object]:
    named = dict.fromkeys(
        (
            "cluster_",
            "namespace_",
            "workload_kind_",
            "workload_",
            "team_",
            "revision_",
            "pod_",
            "container_",
            "image_",
            "node_",
        ),
        "",
    )
    when = {
        "first_seen": f"2026-01-15 12:00:0{first}.000000000",
        "last_seen": f"2026-01-15 12:00:0{last}.000000000",
    }
    known = {"namespace_": "shop", "workload_": "checkout", "pod_": container, "container_": "app"}
    return (
        named
        | known
        | when
        | {"source": source, "container_id": container, "records": records, "state": state}
    )


def test_instances_are_grouped_and_know_whether_they_live() -> None:
    rows = [
        _row("logs", "a", 2, 9, records=7),
        _row("lifecycle", "a", 1, 1, "container_started"),
        _row("lifecycle", "b", 3, 5, "container_ended"),
        _row("alerts", "c", 4, 4, records=2),
    ]
    (workload,) = workloads(rows)
    assert (workload["logs"], workload["alerts"]) == (7, 2)
    assert [(one["pod"], one["state"]) for one in workload["instances"]] == [
        ("a", "running"),
        ("b", "ended"),
        ("c", "unknown"),
    ]
    assert workload["instances"][0]["first_seen"] == "2026-01-15T12:00:01.000000000Z"
    assert workload["last_seen"] == "2026-01-15T12:00:09.000000000Z"


def test_the_sandbox_of_a_pod_is_no_instance() -> None:
    sandbox = _row("lifecycle", "s", 1, 2, "container_started") | {"container_": ""}
    (workload,) = workloads([sandbox, _row("lifecycle", "a", 1, 1, "container_started")])
    assert [one["container_id"] for one in workload["instances"]] == ["a"]
