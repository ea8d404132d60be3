from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.evidence.intervals import Interval, Intervals, intersect, interval, subtract, total, union

MOMENTS = range(-1, 34)
pairs = st.lists(st.tuples(st.integers(0, 32), st.integers(0, 32)), max_size=8)


def moments(found: Intervals | list[Interval]) -> set[int]:
    """The same set, one moment at a time: what the arithmetic must agree with."""
    return {moment for moment in MOMENTS for begin, end in found if begin <= moment < end}


def is_normal(found: Intervals) -> bool:
    edges = [edge for pair in found for edge in pair]
    return edges == sorted(set(edges))


@given(pairs)
def test_union_has_every_moment_once(found: list[Interval]) -> None:
    assert moments(union(found)) == moments(found)
    assert is_normal(union(found))
    assert total(union(found)) == len(moments(found))


@given(pairs, pairs)
def test_intersection_and_difference_part_a_set(one: list[Interval], other: list[Interval]) -> None:
    left, right = union(one), union(other)
    both, only = intersect(left, right), subtract(left, right)
    assert moments(both) == moments(left) & moments(right)
    assert moments(only) == moments(left) - moments(right)
    assert is_normal(both)
    assert is_normal(only)
    assert union(both + only) == left
    assert total(both) + total(only) == total(left)


def test_an_interval_that_ends_before_it_begins_is_nothing() -> None:
    assert interval(5, 5) == interval(6, 5) == ()
    assert interval(5, 6) == ((5, 6),)
