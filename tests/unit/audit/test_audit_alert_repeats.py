"""The sum of the counts is the number of firings, and names of alerts are those of their events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.audit.alert_repeats import MAX_OPEN, Repeats
from keelwatch.audit.records import AuditAlert
from keelwatch.detect import parse_rules
from keelwatch.detect.samples import make_audit_event

RULES = parse_rules(
    "- rule: r\n  desc: d\n  condition: ka.verb exists\n  output: o\n"
    "  priority: NOTICE\n  source: k8s_audit\n"
)


def alert(number: int = 0, **parts: Any) -> AuditAlert:
    return AuditAlert(RULES.rules[0], make_audit_event({"kind": "audit", "auditID": f"a-{number}", **parts}))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 40)), max_size=30))
def test_nothing_is_left_out(firings: list[tuple[str, float]]) -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)
    told = []
    for number, (verb, wait) in enumerate(firings):
        clock.now += wait
        told += repeats.take([alert(number, verb=verb)])
        told += repeats.due()
    told += repeats.due(all_of_them=True)
    assert sum(one.count for one in told) == len(firings)
    assert len({one.id for one in told}) == len(told)


def test_others_are_told_at_once() -> None:
    repeats = Repeats()
    others = [
        alert(1),
        alert(2, verb="delete"),
        alert(3, user={"username": "bob"}),
        alert(4, objectRef={"resource": "pods", "name": "x"}),
    ]
    assert repeats.take(others) == others
    assert repeats.take([alert(5)]) == []


def test_memory_is_bounded() -> None:
    repeats = Repeats()
    many = [alert(n, user={"username": str(n)}) for n in range(MAX_OPEN + 10)]
    assert len(repeats.take(many)) == len(many)
    assert len(repeats.open) == MAX_OPEN


def test_names_come_from_the_event_and_the_rule() -> None:
    assert alert(1).id == alert(1).id != alert(2).id
    assert alert(1).id != alert(1, stage="ResponseStarted").id
    assert len(alert(1).id) == 26
