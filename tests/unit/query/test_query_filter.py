"""Values of users are parameters, never text of a statement."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Filter, at_least, conditions, split_workload
from keelwatch.query.records import SHAPES, Span, select, select_new, table_conditions
from keelwatch.query.times import NS

NOW = 1_768_478_400 * NS
MARK = "Xq7'\"\\;--"


def test_no_value_ever_stands_in_the_sql() -> None:
    plain = {"since", "until", "workload", "selector", "priority", "late"}
    wanted = Filter(**{item.name: MARK for item in fields(Filter) if item.name not in plain})
    for table in SHAPES:
        for found in (select(table, wanted, NOW), select_new(table, wanted, NOW, [Span(MARK, 1, 2)])):
            assert "Xq7" not in found.sql
            assert MARK in found.parameters.values()


def test_an_empty_filter_is_no_condition() -> None:
    assert conditions(Filter(), NOW, ("message",), has_file=False).sql == "1"


def test_a_file_event_belongs_to_the_actor_and_to_the_owner() -> None:
    wanted = Filter(namespace="shop", workload="deploy/checkout", container_id="c0ffee")
    found = conditions(wanted, NOW, ("path",), has_file=True)
    assert found.sql == (
        "((namespace = {p0:String} AND workload = {p1:String} AND startsWith(container_id, {p2:String})"
        " AND workload_kind = {p3:String}) OR (file_namespace = {p0:String} AND file_workload = {p1:String}"
        " AND startsWith(file_container_id, {p2:String})))"
    )
    assert found.parameters == {"p0": "shop", "p1": "checkout", "p2": "c0ffee", "p3": "Deployment"}


def test_a_gap_of_a_whole_node_concerns_the_workloads_that_ran_there() -> None:
    found = table_conditions("gaps", Filter(namespace="shop", workload="deploy/checkout"), NOW)
    asked = "(namespace = {p0:String} AND workload = {p1:String} AND workload_kind = {p2:String})"
    assert found.sql == (
        f"(({asked}) OR (container_id = '' AND namespace = '' AND (node = '' OR node IN "
        f"(SELECT node FROM lifecycle WHERE {asked}))))"
    )
    assert table_conditions("gaps", Filter(), NOW).sql == "1"
    assert "lifecycle" not in table_conditions("logs", Filter(namespace="shop"), NOW).sql


def test_a_time_bounds_the_partitions_too() -> None:
    found = conditions(Filter(since="1h"), NOW, ("message",), has_file=False)
    assert "time >= fromUnixTimestamp64Nano({p0:Int64}, 'UTC')" in found.sql
    assert "day >= toDate" in found.sql
    assert found.parameters["p0"] == NOW - 3600 * NS


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("checkout", ("", "checkout")),
        ("deploy/checkout", ("Deployment", "checkout")),
        ("STS/db", ("StatefulSet", "db")),
        ("cronjob/night", ("CronJob", "night")),
        ("po/x", ("Pod", "x")),
        ("dc/shop", ("DeploymentConfig", "shop")),
        ("rc/shop-1", ("ReplicationController", "shop-1")),
    ],
)
def test_workloads_as_kubectl_writes_them(text: str, wanted: tuple[str, str]) -> None:
    assert split_workload(text) == wanted


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(QuestionError):
        split_workload("deplyo/checkout")


def test_priorities_are_a_minimum() -> None:
    assert at_least("Error") == ("emergency", "alert", "critical", "error")
    assert "info" in at_least("info")
    with pytest.raises(QuestionError):
        at_least("severe")


@given(st.text(max_size=30))
def test_like_patterns_are_escaped(text: str) -> None:
    found = conditions(Filter(grep=text), NOW, ("message",), has_file=False)
    if not text:
        assert found.parameters == {}
        return
    pattern = str(found.parameters["p0"])[1:-1]
    assert re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) == text
    assert not re.search(r"(?<!\\)(\\\\)*[%_]", pattern)
