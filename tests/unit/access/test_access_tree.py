"""The tree of what was done, and whose doing an alert is."""

from __future__ import annotations

from typing import Any

from keelwatch.access.naming import name_all
from keelwatch.access.tree import MAX_DOINGS, trees


def event(pid: int, kind: str = "exec", *ancestors: int, time: str = "t", cmdline: str = "", **more: Any):
    made = {
        "time": time,
        "kind": kind,
        "type": "",
        "result": 0,
        "path": "",
        "old_path": "",
        "drift": "",
        "created": 0,
        "memfd": 0,
        "file_namespace": "",
        "file_pod": "",
        "file_container": "",
        "container": "app",
        "container_id": "c1",
        "entry_pid": 10,
        "entry_start": 1,
        "pid": pid,
        "comm": f"p{pid}",
        "exe": "",
        "uid": 0,
        "cmdline": cmdline or f"cmd{pid}",
        "ancestors": [{"pid": one, "container_id": "c1", "cmdline": f"cmd{one}"} for one in ancestors],
    }
    return made | more


def shape(node: dict[str, Any]) -> Any:
    return {node["pid"]: [shape(child) for child in node["children"]]}


def test_processes_stand_under_those_that_started_them():
    (root,) = trees([event(10), event(11, "exec", 10), event(12, "exec", 11, 10), event(13, "exec", 10)])
    assert shape(root) == {10: [{11: [{12: []}]}, {13: []}]}


def test_a_process_that_only_forked_is_known_as_an_ancestor():
    (root,) = trees([event(10), event(12, "exec", 11, 10)])
    assert shape(root) == {10: [{11: [{12: []}]}]}


def test_a_root_says_when_the_last_of_its_tree_ended():
    end = event(12, "exit", 11, 10, time="t9")
    (root,) = trees([event(10), event(12, "exec", 11, 10), end])
    assert root["over"] == "t9"
    assert shape(root) == {10: [{11: [{12: []}]}]}
    (root,) = trees([event(10)])
    assert root["over"] == ""
    again = {"entry_start": 2}
    first, second = trees([event(10), event(10, "exit", time="t1"), event(10, **again)])
    assert (first["over"], second["over"]) == ("t1", ""), "the pid was used again"


def test_what_lies_above_the_entry_is_not_part_of_it():
    shim = {"pid": 1, "container_id": "", "cmdline": "shim"}
    (root,) = trees([event(10) | {"ancestors": [shim]}])
    assert shape(root) == {10: []}


def test_an_orphan_belongs_to_the_tree_that_it_entered_by():
    orphan = event(15) | {"ancestors": [{"pid": 1, "container_id": "", "cmdline": "shim"}]}
    (root,) = trees([event(10), orphan])
    assert shape(root) == {10: [{15: []}]}


def test_a_process_may_become_another_program():
    (root,) = trees([event(10, cmdline="sh -c x"), event(10, "open", path="/a"), event(10, cmdline="x")])
    assert [one["cmdline"] for one in root["images"]] == ["sh -c x", "x"]
    assert [one["path"] for one in root["doings"]] == ["/a"]


def test_trees_of_several_candidates_stand_side_by_side():
    assert len(trees([event(10), event(10, entry_start=2), event(10, container_id="c2")])) == 3


def test_doings_are_bounded_and_the_rest_is_counted():
    (root,) = trees([event(10), *[event(10, "open")] * (MAX_DOINGS + 5)])
    assert (len(root["doings"]), root["more"]) == (MAX_DOINGS, 5)


def session(user: str, **more: Any) -> dict[str, Any]:
    made = {
        "id": f"of-{user}",
        "kind": "exec",
        "user": user,
        "impersonated_user": "",
        "source_ips": [],
        "command": "sh",
        "confidence": "certain",
        "reason": "",
        "trees": ["c1/10/1"],
        "stdin": 0,
        "until": None,
        "time": "2027-01-01T10",
    }
    return made | more


def named(*sessions: dict[str, Any], **more: Any) -> dict[str, Any]:
    alert = {"container_id": "c1", "entry_pid": 10, "entry_start": 1, "time": "2027-01-01T11", "detail": None}
    record = alert | {"source": "syscall"} | more
    name_all([record], sessions)
    return record


def test_an_alert_names_the_user_of_its_tree():
    found = named(session("alice"), session("bob", trees=["c1/11/1"]))
    assert found["user"] == "alice"
    assert [one["id"] for one in found["access"]] == ["of-alice"]


def test_an_alert_that_may_be_of_two_names_both_and_neither_for_sure():
    found = named(session("alice"), session("bob"))
    assert found["user"] == ""
    assert [one["user"] for one in found["access"]] == ["alice", "bob"]


def test_an_alert_outside_of_all_sessions_names_nobody():
    assert named(session("alice"), entry_pid=0)["user"] == ""
    assert named()["access"] == []


def test_who_attached_is_named_while_he_could_write_only():
    attach = {"kind": "attach", "stdin": 1, "until": "2027-01-01T12"}
    assert named(session("alice", **attach))["user"] == "alice"
    assert named(session("alice", **attach | {"stdin": 0}))["user"] == ""
    assert named(session("alice", **attach | {"until": "2027-01-01T10:30"}))["user"] == ""
    assert named(session("alice", **attach | {"time": "2027-01-01T11:30"}))["user"] == ""
    assert named(session("alice", **attach | {"until": None}))["user"] == "alice"


def test_an_alert_about_a_request_names_who_sent_it():
    found = named(source="k8s_audit", entry_pid=0, detail={"user": "alice"})
    assert found["user"] == "alice"
