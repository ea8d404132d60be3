"""Audit events from bytes: real ones, and what is wrong with others, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keelwatch.audit.identity import identity_of, nobody
from keelwatch.audit.parse import InvalidError, parse_lines, parse_list
from keelwatch.audit.records import MAX_BODY, audit_row
from keelwatch.audit.redact import redacted
from keelwatch.detect import default_rules_dir, load_rules
from keelwatch.model.identity import Identity

REAL = (Path(__file__).parents[2] / "golden" / "audit" / "kubernetes-1.34.jsonl").read_bytes()
EVENT: dict[str, Any] = {
    "auditID": "a-1",
    "stage": "ResponseComplete",
    "level": "Metadata",
    "verb": "get",
    "requestURI": "/api",
    "stageTimestamp": "2026-01-01T00:00:00.123456Z",
}


def body(*items: Any, **changes: Any) -> bytes:
    return orjson.dumps(
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": list(items)} | changes
    )


def test_real_events_are_understood() -> None:
    parsed = parse_lines(REAL, "audit.log", 0)
    assert not parsed.mistakes
    assert len(parsed.events) == REAL.count(b"\n") >= 10
    rows = [audit_row(redacted(event), 1) for event in parsed.events]
    assert {row["source"] for row in rows} == {"file"}
    execs = [row for row in rows if row["subresource"] == "exec"]
    assert {row["verb"] for row in execs} == {"get"}
    assert {row["code"] for row in execs} == {101}
    assert all(row["command"] and row["user"] and row["source_ips"] for row in execs)
    assert {row["stage"] for row in execs} == {"ResponseStarted", "ResponseComplete"}


def test_the_list_of_a_webhook_is_the_same_events() -> None:
    items = [orjson.loads(one) for one in REAL.splitlines()]
    parsed = parse_list(body(*items))
    assert not parsed.mistakes
    assert [event.key for event in parsed.events] == [e.key for e in parse_lines(REAL, "f", 0).events]


def test_our_rules_on_real_events() -> None:
    rules = load_rules([default_rules_dir()])
    fired = {rule.name for event in parse_lines(REAL, "f", 0).events for rule in rules.match(event)}
    assert {
        "Command run in a pod",
        "Attached to a pod",
        "Port forwarded to a pod",
        "Ephemeral container added",
    } <= fired


def test_a_long_audit_id_of_a_callers_choice_is_shortened_and_stays_a_name() -> None:
    ids = [
        event.key[0]
        for event in parse_list(body(*({**EVENT, "auditID": "x" * 500 + one} for one in "ab"))).events
    ]
    assert [len(one) for one in ids] == [128, 128]
    assert len(set(ids)) == 2


def test_time_is_nanoseconds() -> None:
    assert parse_list(body(EVENT)).events[0].time == 1_767_225_600_123_456_000


WRONG = [
    ({"stage": "Done"}, "items[0].stage: 'Done' is not one of RequestReceived"),
    ({"auditID": 7}, "items[0].auditID: must be text, not 7"),
    ({"auditID": "x" * (2 << 20)}, "items[0].auditID: 2097152 characters; the limit is"),
    ({"level": None}, "items[0].level: must be text"),
    ({"verb": ""}, "items[0].verb: must be text"),
    ({"user": "root"}, "items[0].user: must be an object, not 'root'"),
    ({"user": {"groups": ["a", 1]}}, "items[0].user.groups: must be a list of texts"),
    ({"user": {"username": 5}}, "items[0].user.username: must be text"),
    ({"objectRef": {"name": ["x"]}}, "items[0].objectRef.name: must be text, not a list"),
    ({"responseStatus": {"code": "200"}}, "items[0].responseStatus.code: must be a number"),
    ({"sourceIPs": "192.0.2.1"}, "items[0].sourceIPs: must be a list of texts"),
    ({"stageTimestamp": "yesterday"}, "items[0].stageTimestamp: 'yesterday' is not a time"),
    ({"stageTimestamp": "2026-01-01T00:00:00"}, "is not a time"),
    ({"stageTimestamp": "9999-01-01T00:00:00Z"}, "is not a time"),
    ({"stageTimestamp": None}, "items[0].stageTimestamp: None is not a time"),
    ({"stage": "\x1b[2J\n"}, r"'\x1b[2J\n' is not one of"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_event_is_told_with_its_place(changes: dict[str, Any], message: str) -> None:
    parsed = parse_list(body(EVENT | changes, EVENT | {"auditID": "a-2"}))
    assert [event.key[0] for event in parsed.events] == ["a-2"], "the good one beside it is kept"
    (mistake,) = parsed.mistakes
    assert message in str(mistake)
    assert str(mistake).isprintable()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "must be an object, not a list"),
        (b'"\xff"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (body(kind="Event"), "kind: 'Event' is not EventList"),
        (
            body(apiVersion="audit.k8s.io/v1beta1"),
            "apiVersion: 'audit.k8s.io/v1beta1' is not audit.k8s.io/v1",
        ),
        (body(items=None), "items: must be a list"),
        (body(items={}), "items: must be a list, not an object"),
        (body(items=[0] * 60_000), "60000 items; the limit is"),
    ],
)
def test_what_is_no_list(data: bytes, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_list(data)
    assert message in str(caught.value)


def test_lines_that_are_none_have_their_offset() -> None:
    good = orjson.dumps(EVENT | {"kind": "Event", "apiVersion": "audit.k8s.io/v1"}) + b"\n"
    parsed = parse_lines(good + b"rubbish\n" + b"\n" + good, "audit.log", 100)
    assert len(parsed.events) == 2
    assert [m.place for m in parsed.mistakes] == [f"audit.log at byte {100 + len(good)}"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from([*EVENT, "user", "objectRef", "annotations", "requestObject", "responseObject", "x"])


@settings(max_examples=300, deadline=None)
@given(st.lists(values | st.dictionaries(names, values).map(lambda changes: EVENT | changes), max_size=4))
def test_whatever_comes_is_an_event_or_a_mistake(items: list[Any]) -> None:
    try:
        data = body(*items)
    except TypeError:  # a number that JSON here does not carry
        return
    parsed = parse_list(data)
    assert len(parsed.events) + len(parsed.mistakes) == len(items)
    for event in parsed.events:
        event.identity = identity_of(event, "c", nobody)
        orjson.dumps(audit_row(redacted(event), 1))


def test_names_at_their_limits_and_ten_thousand_labels() -> None:
    labels = {f"label-{n}": "v" * 63 for n in range(10_000)}
    item = EVENT | {
        "objectRef": {"resource": "pods", "name": "p" * 253, "namespace": "n" * 63},
        "requestObject": {"kind": "Pod", "metadata": {"name": "p", "labels": labels}},
        "user": {"username": "u" * 100_000, "groups": ["g"] * 5000},
    }
    (event,) = parse_list(body(item)).events
    event.identity = identity_of(event, "c", nobody)
    row = audit_row(redacted(event), 1)
    assert row["pod"] == "p" * 253
    assert row["truncated"] == 1
    assert orjson.loads(row["request_object"])["metadata"] == {"name": "p"}
    assert len(orjson.dumps(row)) < 2 * MAX_BODY
    assert len(row["user"]) == 1024
    assert len(row["groups"]) == 100


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"resource": "pods", "namespace": "s", "name": "x"}, {"namespace": "s", "pod": "x"}),
        (
            {"resource": "deployments", "namespace": "s", "name": "d"},
            {"namespace": "s", "workload_kind": "Deployment", "workload": "d"},
        ),
        ({"resource": "namespaces", "name": "s"}, {"namespace": "s"}),
        ({"resource": "secrets", "namespace": "s", "name": "x"}, {"namespace": "s"}),
        ({}, {}),
    ],
)
def test_whom_a_request_is_about(target: dict[str, str], expected: dict[str, str]) -> None:
    (event,) = parse_list(body(EVENT | {"objectRef": target})).events
    assert identity_of(event, "c", nobody) == Identity(cluster="c", **expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("exec/s/x/app?command=id", ("s", "x", "app")),
        ("run/s/x/0b5e-uid/app?cmd=id", ("s", "x", "app")),
        ("%61ttach/s/x/app", ("s", "x", "app")),
        ("portForward/s/x/0b5e-uid", ("s", "x", "")),
        ("exec/s/x", ("s", "x", "")),
        ("exec/s", ("", "", "")),
        ("metrics/s/x/app", ("", "", "")),
    ],
)
def test_whom_a_request_by_way_of_a_node_is_about(path: str, expected: tuple[str, str, str]) -> None:
    node = {"resource": "nodes", "subresource": "proxy", "name": "n1"}
    item = EVENT | {"objectRef": node, "requestURI": f"/api/v1/nodes/n1/proxy/{path}"}
    (event,) = parse_list(body(item)).events
    found = identity_of(event, "c", nobody)
    assert (found.namespace, found.pod, found.container) == expected


def test_a_made_up_name_is_in_the_answer_and_known_pods_are_known() -> None:
    item = EVENT | {
        "objectRef": {"resource": "pods", "namespace": "s"},
        "responseObject": {"metadata": {"name": "x-7"}},
    }
    (event,) = parse_list(body(item)).events
    known = {("s", "x-7"): Identity(namespace="s", pod="x-7", workload="x", workload_kind="Deployment")}
    found = identity_of(event, "c", lambda pod: known.get(pod[:2]))
    assert (found.cluster, found.workload) == ("c", "x")
