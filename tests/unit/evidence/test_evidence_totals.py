"""However the sums are held, they are those of each container."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.evidence.causes import KINDS
from keelwatch.evidence.facts import Container
from keelwatch.evidence.totals import GROUPS, Rollup, Sum, Tally, Totals

names = st.sampled_from("abc")
tallies = st.builds(
    lambda ran, lossy, missing: {
        kind: Sum(ran, ran - lossy - missing, lossy, 0, {"agent_down": missing} if missing else {})
        for kind in KINDS
    },
    st.integers(20, 30),
    st.integers(0, 5),
    st.integers(0, 5),
)
containers = st.builds(
    Container, st.just(""), cluster=names, node=names, namespace=names, workload=names, team=names
)


@pytest.mark.parametrize("by", GROUPS)
@given(st.lists(st.tuples(containers, tallies), max_size=30), st.integers(0, 5))
def test_groups_are_the_worst_and_clusters_and_total_have_everything(
    by: str, found: list[tuple[Container, Tally]], most: int
) -> None:
    totals, plain, clusters = Totals(by, most), Rollup(*GROUPS[by]), Rollup("cluster")
    for number, (one, tally) in enumerate(found):
        for sums in (totals, plain, clusters):
            sums.add(replace(one, container_id=str(number)), tally)
    groups, count = plain.records(most)
    answer = totals.records()
    assert (answer["groups"], answer["group_count"]) == (groups, count)
    assert answer["clusters"] == clusters.records(1000)[0]
    assert answer["total"] == plain.total().record()
    assert answer["total"]["containers"] == len(found)


def test_of_many_single_containers_only_the_worst_are_held() -> None:
    totals = Totals("container", 3)
    for number in range(5000):
        tally: Tally = {kind: Sum(100, number % 100) for kind in KINDS}
        totals.add(Container(f"{number:04}", cluster="c"), tally)
    assert totals._singles is not None
    assert len(totals._singles._found) <= 1100
    answer = totals.records()
    assert [group["container_id"] for group in answer["groups"]] == ["0000", "0100", "0200"]
    assert answer["group_count"] == answer["total"]["containers"] == 5000
