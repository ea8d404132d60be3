"""Which batches may be written: in order, once, and never n + 1 before n."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.ingest.dedupe import Ticket, Waiting, next_group, plan
from keelwatch.ingest.unpack import Received
from keelwatch.model.batch import BatchHeader


def waiting(spool: str, seq: int, until: float = 10.0, day: str = "2026-01-15", size: int = 1) -> Waiting:
    header = BatchHeader(spool, "logs", seq, day, 1, "chunks", size)
    return Waiting(Received(header, Path("/nowhere"), size), until, Ticket(1))


def keys(items: list[Waiting]) -> list[tuple[str, int]]:
    return [item.key for item in items]


def test_in_order_is_ready_and_repeats_are_told_apart() -> None:
    found = plan([waiting("a", 3), waiting("a", 2), waiting("b", 1), waiting("a", 1)], {"a": 1}, 0.0)
    assert keys(found.ready) == [("a", 2), ("a", 3), ("b", 1)]
    assert keys(found.repeats) == [("a", 1)]
    assert found.held == []


def test_what_overtakes_waits_and_is_believed_in_the_end() -> None:
    early = plan([waiting("a", 3)], {"a": 1}, now=9.0)
    assert (early.ready, keys(early.held)) == ([], [("a", 3)])
    late = plan([waiting("a", 3), waiting("a", 4)], {"a": 1}, now=10.0)
    assert keys(late.ready) == [("a", 3), ("a", 4)]
    assert [(item.key, expected) for item, expected in late.jumps] == [(("a", 3), 2)]


def test_the_same_batch_twice_is_written_once() -> None:
    found = plan([waiting("a", 1), waiting("a", 1)], {}, 0.0)
    assert keys(found.ready) == keys(found.held) == [("a", 1)]


def test_a_group_is_one_day_and_later_batches_of_a_spool_stay_behind() -> None:
    items = [waiting("a", 1), waiting("a", 2, day="2026-01-16"), waiting("a", 3), waiting("b", 1)]
    group, rest = next_group(items, 100)
    assert keys(group) == [("a", 1), ("b", 1)]
    assert keys(rest) == [("a", 2), ("a", 3)]


def test_a_batch_larger_than_the_limit_goes_alone() -> None:
    group, rest = next_group([waiting("a", 1, size=500), waiting("b", 1)], 100)
    assert keys(group) == [("a", 1)]
    assert keys(rest) == [("b", 1)]


_BATCHES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(1, 8),
        st.sampled_from(["2026-01-15", "2026-01-16"]),
        st.integers(1, 9),
    )
)


@given(_BATCHES, st.dictionaries(st.sampled_from("ab"), st.integers(0, 4)))
def test_whatever_waits_is_written_in_order_and_once(
    batches: list[tuple[str, int, str, int]], highest: dict[str, int]
) -> None:
    items = [waiting(spool, seq, 0.0, day, size) for spool, seq, day, size in batches]
    found = plan(items, highest, now=1.0)
    assert len(found.ready) + len(found.repeats) + len(found.held) == len(items)
    written: list[Waiting] = []
    ready = list(found.ready)
    while ready:
        group, ready = next_group(ready, 10)
        assert len({item.batch.header.day for item in group}) == 1
        written += group
    for spool in "ab":
        numbers = [item.batch.seq for item in written if item.batch.spool == spool]
        assert numbers == sorted(set(numbers))
        assert all(number > highest.get(spool, 0) for number in numbers)
