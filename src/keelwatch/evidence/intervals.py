"""Pure arithmetic on sets of time: sorted, disjoint, not touching, half-open [from, to) in nanoseconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]

NOTHING: Intervals = ()
BEGINNING, END = -(1 << 63), (1 << 63) - 1


def interval(begin: int, end: int) -> Intervals:
    """The set from `begin` to `end`, or nothing."""
    return ((begin, end),) if begin < end else NOTHING


def union(found: Iterable[Interval]) -> Intervals:
    """The set of all moments that are in any of these, in any order, empty ones and overlaps allowed."""
    merged: list[Interval] = []
    for begin, end in sorted(found):
        if begin >= end:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def intersect(one: Intervals, other: Intervals) -> Intervals:
    """What is in both."""
    if len(one) == 1 and len(other) == 1:  # nearly always
        return interval(max(one[0][0], other[0][0]), min(one[0][1], other[0][1]))
    found: list[Interval] = []
    for begin, end in one:
        for at in range(_first(other, begin), len(other)):
            low, high = other[at]
            if low >= end:
                break
            found.append((max(begin, low), min(end, high)))
    return tuple(found)


def subtract(one: Intervals, other: Intervals) -> Intervals:
    """What is in `one` and not in `other`."""
    found: list[Interval] = []
    for begin, end in one:
        rest = begin
        for at in range(_first(other, begin), len(other)):
            low, high = other[at]
            if low >= end:
                break
            if rest < low:
                found.append((rest, low))
            rest = max(rest, high)
        if rest < end:
            found.append((rest, end))
    return tuple(found)


def total(found: Intervals) -> int:
    """Its length in nanoseconds."""
    return sum([end - begin for begin, end in found])


def _first(found: Intervals, moment: int) -> int:
    """The index of the first interval that ends behind `moment`."""
    at = max(0, bisect_right(found, moment, key=itemgetter(0)) - 1)
    return at if at < len(found) and found[at][1] > moment else at + 1
