"""Whose a name was at a time, of pods that had it one after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.inventory.inventory import Inventory
from keelwatch.inventory.lives import LINGER, SECOND, Life, life_at, life_created, spans
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.teams import TeamRules

T = 1_768_478_400 * SECOND


def at(seconds: float) -> int:
    return T + int(seconds * SECOND)


FIRST = Life("u-1", at(0), ended=at(100.5))
SECOND_POD = Life("u-2", at(100), ended=at(200.2))  # made at 100.7
THIRD = Life("u-3", at(260))
WEB_0 = [THIRD, FIRST, SECOND_POD]


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (-2, ""),
        (-0.5, "u-1"),
        (0, "u-1"),
        (99.9, "u-1"),
        (100.4, "u-1"),
        (100.6, "u-2"),
        (101, "u-2"),
        (201, "u-2"),
        (203, ""),
        (258.9, ""),
        (259.5, "u-3"),
        (260, "u-3"),
        (1e6, "u-3"),
    ],
)
def test_the_pod_of_a_name_at_a_time(seconds: float, wanted: str) -> None:
    found = life_at(WEB_0, at(seconds))
    assert (found.uid if found else "") == wanted


def test_an_end_that_was_noticed_late_does_not_outlast_the_next_pod() -> None:
    late = Life("u-1", at(0), ended=at(900))
    found = [life_at([late, Life("u-2", at(100))], at(seconds)) for seconds in (99, 100.5, 101)]
    assert [life.uid for life in found if life] == ["u-1", "u-1", "u-2"]


def test_a_request_that_makes_a_pod_is_about_no_pod_before() -> None:
    found = [life_created(WEB_0, at(seconds)) for seconds in (99.9, 100.45, 100.75, 50)]
    assert [life.uid if life else "" for life in found] == ["u-2", "u-2", "u-2", ""]


@given(
    st.lists(
        st.tuples(st.integers(0, 20 * SECOND), st.integers(0, 5 * SECOND), st.integers(0, 3 * SECOND)),
        max_size=5,
    ),
    st.integers(0, 99),
)
def test_each_pod_has_its_name_while_it_was_there(gaps: list[tuple[int, int, int]], share: int) -> None:
    """Whatever the seconds cut off, and however late its end is noticed; but for the moment between."""
    lives, real, time = [], [], T
    for number, (lasting, pause, late) in enumerate(gaps):
        begin, end = time, time + lasting
        lives.append(Life(f"u-{number}", begin // SECOND * SECOND, ended=end + late))
        real.append((begin, end))
        time = end + pause
    assert all(begin <= end for begin, end, _ in spans(lives))
    for number, (begin, end) in enumerate(real):
        asked = begin + SECOND + (end - begin - SECOND) * share // 100
        if asked < end - SECOND:
            found = life_at(lives, asked)
            assert found is not None
            assert found.uid == f"u-{number}"


def test_the_inventory_knows_the_last_that_went_and_who_has_the_name_now() -> None:
    inventory = Inventory("c", TeamRules(), None, lambda *_: None)  # type: ignore[arg-type]
    one = KubeObject("Pod", "shop", "web-0", "u-1", created=at(0), node="n1", revision="a")
    other = KubeObject("Pod", "shop", "web-0", "u-2", created=at(100))
    inventory.put(one)
    assert [life.uid for life in inventory.lives("shop", "web-0")] == ["u-1"]
    inventory.put(other)  # a list tells of what came before it tells of what went
    inventory.remove("u-1")
    went, living = inventory.lives("shop", "web-0")
    assert (went.uid, went.node, went.revision, went.ended > 0) == ("u-1", "n1", "a", True)
    assert (living.uid, living.ended) == ("u-2", 0)
    inventory.remove("u-2")
    assert [life.uid for life in inventory.lives("shop", "web-0")] == ["u-2"]
    assert inventory.lives("shop", "web-1") == []
    assert LINGER > SECOND
