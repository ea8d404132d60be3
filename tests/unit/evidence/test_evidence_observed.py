from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.evidence.causes import KINDS, LOSSES, MISSING, kinds_lost
from keelwatch.evidence.facts import Container, Loss, Node, Watch
from keelwatch.evidence.intervals import END, Intervals, intersect, subtract, total, union
from keelwatch.evidence.observed import (
    GRACE,
    PATIENCE,
    POINT,
    SECOND,
    Covered,
    Moment,
    Part,
    cover,
    is_sandboxed,
)
from keelwatch.model.gap import CAUSES

S = SECOND
NOW = 10_000 * S
AT = Moment(begin=0, end=NOW, now=NOW)


def watch(first: int = 0, last: int = NOW, *, up: Intervals | None = None, **more: object) -> Watch:
    ups = ((first, last),) if up is None else up
    return Watch(first, last, ups, **{"logs": ups, **more})  # type: ignore[arg-type]


def container(begin: int = 0, end: int = NOW, *, taken: int | None = None, files: int = 1) -> Container:
    at = begin if taken is None else taken
    return Container("c1", cluster="c", node="n", runs=((begin, end),), taken=((at, files),))


def covered(one: Container, node: Node, *losses: Loss, at: Moment = AT) -> Covered:
    return cover(one, node, losses, at)


def missing(found: Covered, kind: str) -> list[tuple[int, int, str]]:
    return [(part.begin, part.end, part.cause) for part in found.seen[kind].missing]  # type: ignore[index]


def node(seen: Watch | None, **more: object) -> Node:
    return Node("c", "n", listed=True, watch=seen, **more)  # type: ignore[arg-type]


def test_what_an_agent_watched_all_the_time_is_observed_though_nothing_was_recorded() -> None:
    found = covered(container(), node(watch()))
    for kind in KINDS:
        assert found.seen[kind].observed == ((0, NOW),)
        assert not found.seen[kind].missing
        assert not found.seen[kind].open


def test_an_outage_is_missing_of_the_events_and_read_afterwards_of_the_logs() -> None:
    up = ((0, 100 * S), (105 * S, NOW))
    one = replace(container(), taken=((0, 1), (106 * S, 1)))
    found = covered(one, node(watch(up=up)))
    assert missing(found, "events") == [(100 * S, 105 * S, "agent_down")]
    assert missing(found, "logs") == []


def test_a_log_that_was_not_taken_up_again_is_missing_since_the_outage() -> None:
    up = ((0, 100 * S), (105 * S, NOW))
    found = covered(container(end=END), node(watch(up=up)))
    assert missing(found, "logs") == [(100 * S, 105 * S, "agent_down"), (105 * S, NOW, "not_followed")]


def test_before_the_first_agent_events_are_missing_and_logs_are_in_their_files() -> None:
    found = covered(container(taken=51 * S), node(watch(first=50 * S)))
    assert missing(found, "events") == [(0, 50 * S, "before_agent")]
    assert missing(found, "logs") == []


def test_files_that_were_rotated_before_the_first_agent_may_be_gone() -> None:
    found = covered(container(taken=51 * S, files=3), node(watch(first=50 * S)))
    assert found.seen["logs"].lossy == ((0, 51 * S),)
    assert found.seen["logs"].lost == [Part("logs", 0, 51 * S, "log_rotated", "3 files were there")]
    assert not found.seen["events"].lossy


def test_a_node_without_an_agent_is_missing_wholly() -> None:
    one = replace(container(), taken=())
    for kind in KINDS:
        assert missing(covered(one, node(None)), kind) == [(0, NOW, "no_agent")]


def test_a_windows_node_is_one_before_it_is_one_without_an_agent() -> None:
    found = covered(replace(container(), taken=()), node(None, system="windows"))
    assert missing(found, "events") == missing(found, "logs") == [(0, NOW, "windows_node")]


def test_a_sandbox_hides_events_but_not_logs() -> None:
    found = covered(replace(container(), runtime="gvisor"), node(watch()))
    assert missing(found, "events") == [(0, NOW, "sandboxed_runtime")]
    assert missing(found, "logs") == []


@pytest.mark.parametrize(
    "name",
    [
        "gvisor",
        "runsc",
        "kata-qemu",
        "io.containerd.kata.v2",
        "Kata",
        "coco",
        "ours",
        "secure/runsc",
        "ours/x",
    ],
)
def test_sandboxes_are_known_by_name(name: str) -> None:
    assert is_sandboxed(name, frozenset({"ours"}))


@pytest.mark.parametrize("name", ["", "runc", "crun", "nvidia", "cocoa", "sysbox-runc", "gpu/nvidia"])
def test_other_runtimes_are_none(name: str) -> None:
    assert not is_sandboxed(name, frozenset({"ours"}))


def test_a_short_silence_is_open_and_a_long_one_missing() -> None:
    for silence, expected in ((PATIENCE, []), (PATIENCE + 1, [(NOW - PATIENCE - 1, NOW, "agent_silent")])):
        found = covered(container(), node(watch(last=NOW - silence)))
        for kind in KINDS:
            assert missing(found, kind) == expected
            assert bool(found.seen[kind].open) == (not expected)


def test_silence_counts_from_when_the_hub_listens_again() -> None:
    quiet = node(watch(last=NOW - 3600 * S))
    found = covered(container(), quiet, at=replace(AT, listening=NOW - 5 * S))
    assert missing(found, "events") == []
    assert found.seen["events"].open == ((NOW - 3600 * S, NOW),)


def test_an_agent_that_said_goodbye_is_down_at_once() -> None:
    found = covered(container(), node(watch(last=NOW - 5 * S, stopped=True)))
    assert missing(found, "events") == missing(found, "logs") == [(NOW - 5 * S, NOW, "agent_down")]


def test_a_sensor_that_is_off_says_why() -> None:
    found = covered(container(), node(watch(sensor_off=((10 * S, 20 * S),), blind="no BTF")))
    assert found.seen["events"].missing == [Part("events", 10 * S, 20 * S, "sensor_off", "no BTF")]
    assert missing(found, "logs") == []


def test_logs_switched_off_and_logs_in_no_file() -> None:
    assert missing(covered(container(), node(watch(logs=()))), "logs") == [(0, NOW, "logs_off")]
    found = covered(replace(container(), has_log=False), node(watch()))
    assert missing(found, "logs") == [(0, NOW, "no_log_file")]
    assert missing(found, "events") == []


def test_a_container_that_just_started_may_not_be_taken_up_yet() -> None:
    young = replace(container(begin=NOW - GRACE), taken=())
    assert covered(young, node(watch())).seen["logs"].open == ((NOW - GRACE, NOW),)
    older = replace(container(begin=NOW - GRACE - 1), taken=())
    assert missing(covered(older, node(watch())), "logs") == [(NOW - GRACE - 1, NOW, "not_followed")]


def test_losses_lie_on_what_was_observed() -> None:
    lost = Loss("events", "ring_full", 10 * S, 11 * S, 500, "events")
    found = covered(container(), node(watch(), losses=(lost,)))
    assert found.seen["events"].lossy == ((10 * S, 11 * S),)
    assert found.seen["events"].lost[0].detail == "500 events"
    assert not found.seen["logs"].lossy
    unseen = covered(container(), node(watch(first=50 * S), losses=(lost,)))
    assert not unseen.seen["events"].lossy


def test_a_containers_own_loss_counts_whenever_it_was_noticed() -> None:
    late = Loss("logs", "log_vanished", NOW + S, NOW + S, container_id="c1")
    found = covered(container(end=200 * S), node(watch()), late)
    assert total(found.seen["logs"].lossy) == POINT
    assert found.seen["logs"].lossy[0][1] == 200 * S


def test_a_pods_loss_is_none_of_a_container_that_came_behind_it() -> None:
    lost = Loss("logs", "log_vanished", 50 * S, 50 * S, namespace="shop", pod="cart-0")
    assert not covered(container(begin=100 * S), node(watch()), lost).seen["logs"].lossy
    assert covered(container(end=20 * S), node(watch()), lost).seen["logs"].lossy


def test_every_cause_of_a_loss_is_a_gaps_cause() -> None:
    assert CAUSES.keys() >= LOSSES
    assert not LOSSES & MISSING.keys()


@pytest.mark.parametrize(
    ("what", "kinds"),
    [
        ("exec", ("events",)),
        ("all", KINDS),
        ("logs", ("logs",)),
        ("events", ("events",)),
        ("alerts", ()),
        ("hub", ()),
    ],
)
def test_what_a_gap_takes_away(what: str, kinds: tuple[str, ...]) -> None:
    assert kinds_lost(what) == kinds


moments = st.integers(0, 60).map(lambda second: second * S)
spans = st.lists(st.tuples(moments, moments), max_size=4).map(union)


@given(spans, spans, spans, spans, moments, moments, st.booleans(), st.integers(0, 3))
def test_each_moment_has_one_state(
    runs: Intervals, up: Intervals, off: Intervals, lost: Intervals, a: int, b: int, stopped: bool, taken: int
) -> None:
    """Observed, missing and open part the time that a container ran; losses lie within observed."""
    first, last = min(a, b), max(a, b)
    ups = intersect(up, ((first, last),)) if first < last else ()
    losses = tuple(Loss("events", "ring_full", begin, end) for begin, end in lost)
    watched = Watch(first, last, ups, stopped=stopped, sensor_off=off, logs=subtract(ups, off))
    takes = tuple((begin, 1) for begin, _ in runs[:taken])
    one = Container("c1", cluster="c", node="n", runs=runs, taken=takes)
    found = cover(one, node(watched, losses=losses), losses, replace(AT, now=60 * S, end=60 * S))
    for seen in found.seen.values():
        parts = [(part.begin, part.end) for part in seen.missing]
        together = (*seen.observed, *seen.open, *parts)
        assert union(together) == found.ran
        assert sum(end - begin for begin, end in together) == total(found.ran)
        assert not subtract(seen.lossy, seen.observed)
        assert {part.cause for part in seen.missing} <= MISSING.keys()
