from __future__ import annotations

from typing import Any

import pytest

from keelwatch.evidence.facts import Container
from keelwatch.evidence.gather import containers, nodes, watches
from keelwatch.evidence.intervals import END
from keelwatch.evidence.losses import Losses

S = 1_000_000_000
ON = (True, True)


def agent(spool: str, *sessions: tuple[Any, ...], node: str = "n1") -> dict[str, Any]:
    first = min(time for time, started, *_ in sessions if started)
    return {"spool": spool, "cluster_": "c", "node_": node, "first": first, "sessions": list(sessions)}


def outage(spool: str, begin: int, end: int, cause: str = "agent_down") -> dict[str, Any]:
    return {"spool": spool, "cause": cause, "begin_": begin, "end_": end, "detail": "why"}


def watched(starts: list[tuple[int, int, int]], ends: list[int]) -> dict[str, Any]:
    names = {
        f"{name}_": ""
        for name in ("namespace", "workload_kind", "workload", "team", "pod", "pod_uid", "container", "image")
    }
    return {"container_id": "c1", "cluster_": "c", "node_": "n1", **names, "starts": starts, "ends": ends,
            "has_log": True, "handler": ""}  # fmt: skip


def runs(starts: list[tuple[int, int, int]], ends: list[int], *outages: dict[str, Any]) -> Container:
    seen = watches([agent("s", (0, True, *ON))], outages, {"s": 1000 * S})
    [one] = containers([watched(starts, ends)], [], nodes([], seen, Losses()))
    return one


def test_an_outage_splits_the_time_that_an_agent_was_up() -> None:
    seen = watches(
        [agent("s", (10 * S, True, *ON), (55 * S, True, *ON))], [outage("s", 50 * S, 54 * S)], {"s": 90 * S}
    )
    one = seen["c", "n1"]
    assert (one.first, one.last, one.stopped) == (10 * S, 90 * S, False)
    assert one.up == one.logs == ((10 * S, 50 * S), (54 * S, 90 * S))


def test_goodbye_is_the_last_sign_though_what_was_left_came_a_little_later() -> None:
    for heard, stopped, last in ((51 * S, True, 50 * S), (90 * S, False, 90 * S)):
        one = watches([agent("s", (10 * S, True, *ON), (50 * S, False, *ON))], [], {"s": heard})["c", "n1"]
        assert (one.stopped, one.last) == (stopped, last)


def test_two_agents_of_a_node_complete_each_other() -> None:
    rows = [agent("a", (0, True, *ON), (50 * S, False, *ON)), agent("b", (60 * S, True, *ON))]
    one = watches(rows, [], {"a": 50 * S, "b": 90 * S})["c", "n1"]
    assert one.up == ((0, 50 * S), (60 * S, 90 * S))
    assert one.agents == ("a", "b")


def test_what_one_agent_sees_is_seen_though_another_is_blind() -> None:
    rows = [agent("a", (0, True, *ON)), agent("b", (0, True, False, False))]
    one = watches(rows, [], {"a": 50 * S, "b": 90 * S})["c", "n1"]
    assert one.sensor_off == ((50 * S, 90 * S),)
    assert one.logs == ((0, 50 * S),)


def test_a_sensor_that_went_off_tells_why() -> None:
    one = watches([agent("s", (0, True, *ON))], [outage("s", 5 * S, 9 * S, "sensor_off")], {"s": 90 * S})[
        "c", "n1"
    ]
    assert (one.sensor_off, one.blind) == (((5 * S, 9 * S),), "why")


def test_outages_of_spools_that_never_started_say_nothing() -> None:
    assert watches([], [outage("x", 0, 9 * S)], {}) == {}


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        ([(10 * S, 11 * S, 1)], [], ((10 * S, END),)),
        ([(10 * S, 11 * S, 1)], [20 * S], ((10 * S, 20 * S),)),
        # Told again by an agent that was started anew.
        ([(10 * S, 11 * S, 1), (10 * S, 60 * S, 1)], [70 * S], ((10 * S, 70 * S),)),
        # Started again under its id, as Docker does: the runtime goes on telling when it was made.
        ([(10 * S, 11 * S, 1), (10 * S, 40 * S, 1)], [20 * S, 70 * S], ((10 * S, 20 * S), (40 * S, 70 * S))),
        # An older agent did not say when it took a container up.
        ([(10 * S, 0, 0)], [20 * S], ((10 * S, 20 * S),)),
    ],
)
def test_runs(starts: list[tuple[int, int, int]], ends: list[int], expected: object) -> None:
    assert runs(starts, ends).runs == expected


def test_one_that_was_not_found_again_ran_until_the_agent_was_back() -> None:
    down = outage("s", 100 * S, 130 * S)
    assert runs([(10 * S, 11 * S, 1)], [], down).runs == ((10 * S, 130 * S),)
    assert runs([(10 * S, 11 * S, 1), (10 * S, 131 * S, 1)], [], down).runs == ((10 * S, END),)
