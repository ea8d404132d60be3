"""What the audit's rows say of requests to enter containers, as a real API server wrote them."""

from __future__ import annotations

import orjson
import pytest
from access_world import golden_rows

from keelwatch.access.request import ATTACH, DEBUG, EXEC, MADE, PORT_FORWARD, pod_through_node, requests


def row(**more):
    (first, *_) = [one for one in golden_rows() if one["subresource"] == "exec"]
    return first | more


def test_stages_are_joined_and_told_in_order():
    found = requests(reversed(golden_rows()))
    assert [one.kind for one in found] == [EXEC, ATTACH, PORT_FORWARD, DEBUG, ATTACH]
    first = found[0]
    assert first.user == "alice"
    assert first.groups == ("developers", "system:authenticated")
    assert first.source_ips == ("192.0.2.2",)
    assert first.argv == ("sh", "-c", "echo hello > /tmp/a; busybox id")
    assert first.container == "app"
    assert first.code == 101
    assert first.received < first.started < first.ended
    assert first.id == first.audit_id


def test_a_debug_says_its_container_its_image_and_its_target():
    (debug,) = [one for one in requests(golden_rows()) if one.kind == DEBUG]
    assert debug.container.startswith("debugger-")
    assert debug.target == "app"
    assert debug.image
    assert debug.argv == ("sh",)
    assert debug.stdin
    assert not debug.tty


def test_a_debug_whose_body_is_not_recorded_is_not_whole():
    rows = [
        one | {"request_object": ""} for one in golden_rows() if one["subresource"] == "ephemeralcontainers"
    ]
    (debug,) = requests(rows)
    assert not debug.whole
    assert debug.container == ""


def test_reading_a_pods_ephemeral_containers_enters_nothing():
    rows = [one | {"verb": "get"} for one in golden_rows() if one["subresource"] == "ephemeralcontainers"]
    assert requests(rows) == []


def test_older_clients_create():
    (found,) = requests([row(verb="create")])
    assert found.kind == EXEC


def test_an_open_session_has_not_ended():
    rows = [
        one for one in golden_rows() if one["stage"] == "ResponseStarted" and one["subresource"] == "exec"
    ]
    (found,) = requests(rows)
    assert found.ended == 0
    assert found.started


def test_an_audit_id_that_is_used_twice_names_two_sessions():
    again = row(requested=row()["requested"] + 5_000_000_000, user="mallory")
    one, other = requests([again, row()])
    assert one.user == "alice"
    assert one.id == one.audit_id
    assert other.id.startswith(f"{one.id}~")
    assert requests([row(), again])[1].id == other.id


def test_an_audit_id_that_nobody_could_type_gets_a_name():
    (found,) = requests([row(audit_id="../<b>\x1b[0m" + "x" * 90)])
    assert found.id.isalnum()


def test_the_kubelets_own_addresses_are_known():
    uri = "/api/v1/nodes/n1/proxy/run/shop/checkout-1/app?cmd=busybox%20id&cmd=other"
    (found,) = requests([row(resource="nodes", subresource="proxy", name="n1", namespace="", uri=uri)])
    assert (found.namespace, found.pod, found.container) == ("shop", "checkout-1", "app")
    assert found.argv == ("busybox", "id")
    assert found.through == "nodes/proxy"
    assert pod_through_node("/api/v1/nodes/n1/proxy/exec/shop/checkout-1/0b5e-uid/app?command=sh") == (
        "shop",
        "checkout-1",
    )
    assert pod_through_node("/api/v1/nodes/n1/proxy/%65xec/shop/checkout-1/app?x=/proxy/run/a/b") == (
        "shop",
        "checkout-1",
    )
    assert pod_through_node("/api/v1/nodes/n1/proxy/metrics/cadvisor") is None
    assert pod_through_node("/api/v1/nodes/n1/proxy/metrics?x=/proxy/run/a/b") is None


def test_too_many_arguments_are_not_read():
    (found,) = requests([row(uri="/x?" + "command=a&" * 5000)])
    assert not found.whole
    assert found.argv == ()


def test_bytes_that_are_no_text_are_escaped_as_the_sensor_does():
    (found,) = requests([row(uri="/x?command=a%ff%0ab&container=app")])
    assert found.argv == ("a\\xff\nb",)


def test_who_acts_as_another_is_both():
    (found,) = requests([row(impersonated_user="bob")])
    assert found.actor == "alice as bob"


def made(pod: object, **more):
    body = pod if isinstance(pod, str) else orjson.dumps(pod).decode()
    asked = {
        "subresource": "",
        "verb": "create",
        "uri": "/api/v1/namespaces/shop/pods",
        "request_object": body,
    }
    return requests([row(**(asked | more))])


def test_a_pod_for_debugging_a_node_says_which():
    spec = {
        "hostPID": True,
        "nodeName": "node-7",
        "containers": [{"name": "debugger", "image": "i", "args": ["a"]}],
    }
    labels = {"app.kubernetes.io/managed-by": "kubectl-debug"}
    (found,) = made({"metadata": {"labels": labels}, "spec": spec})
    assert (found.kind, found.debugs, found.target) == (MADE, True, "node/node-7")
    assert found.containers == (("debugger", "i", ("a",)),)
    (older,) = made({"metadata": {}, "spec": spec}, name="node-debugger-node-7-x2x7p")
    assert older.debugs
    (plain,) = made({"metadata": {}, "spec": spec | {"hostPID": False}})
    assert (plain.debugs, plain.target) == (False, "")


def test_a_pod_that_a_controller_made_is_nobodys():
    assert made({"metadata": {"ownerReferences": [{"kind": "Job"}]}, "spec": {"containers": []}}) == []
    assert made({"metadata": {}, "spec": {"containers": []}}, name="") == [], "its name is not known"
    assert made({"metadata": {}, "spec": {"containers": []}}, verb="patch") == []


BODIES = ("", "[]", "{", '{"metadata": [], "spec": 1}', '{"metadata": {}, "spec": {}}')


@pytest.mark.parametrize("body", [*BODIES, '{"metadata": {}, "spec": {"containers": [1]}}'])
def test_a_pod_whose_body_says_nothing_is_not_whole(body: str):
    (found,) = made(body)
    assert (found.whole, found.debugs, found.containers) == (False, False, ())
