"""The sum of the counts is the number of firings, and names of alerts are those of their events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.audit.alert_repeats import MAX_OPEN, Repeats
from keelwatch.audit.identity import identity_of, nobody
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


def entered(number: int, query: str, **parts: Any) -> AuditAlert:
    """A command in a pod."""
    target = {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "checkout-1"}
    uri = f"/api/v1/namespaces/shop/pods/checkout-1/exec?{query}"
    one = alert(number, **{"objectRef": target, "requestURI": uri} | parts)
    one.event.identity = identity_of(one.event, "c", nobody)
    return one


def test_another_command_is_told_at_once() -> None:
    """In a minute somebody can do much in one pod, and only the first and last would be in alerts."""
    repeats = Repeats()
    queries = ["command=id", "command=sh&command=-c&command=id", "command=id&container=side", "command=env"]
    commands = [entered(number, query) for number, query in enumerate(queries)]
    as_root = entered(5, "command=id", impersonatedUser={"username": "root"})
    assert repeats.take([*commands, as_root]) == [*commands, as_root]
    assert repeats.take([entered(6, "command=env&stdin=true"), entered(7, "command=id")]) == []
    assert [one.count for one in repeats.due(all_of_them=True)] == [1, 1]


def test_another_pod_of_the_same_node_is_told_at_once() -> None:
    repeats = Repeats()
    target = {"resource": "nodes", "subresource": "proxy", "name": "n1"}
    uri = "/api/v1/nodes/n1/proxy/exec/shop/{}/app?command=id"
    pods = [entered(n, "", objectRef=target, requestURI=uri.format(pod)) for n, pod in enumerate("ab")]
    assert repeats.take(pods) == pods


def test_what_is_kept_of_a_command_is_short() -> None:
    repeats = Repeats()
    repeats.take([entered(1, f"command={'x' * 100_000}")])
    assert sum(len(part) for key in repeats.open for part in key) < 300


def test_memory_is_bounded() -> None:
    repeats = Repeats()
    many = [alert(n, user={"username": str(n)}) for n in range(MAX_OPEN + 10)]
    assert len(repeats.take(many)) == len(many)
    assert len(repeats.open) == MAX_OPEN


def test_names_come_from_the_event_and_the_rule() -> None:
    assert alert(1).id == alert(1).id != alert(2).id
    assert alert(1).id != alert(1, stage="ResponseStarted").id
    assert len(alert(1).id) == 26
