"""Which tree of a container a record belongs to: the entrypoint's, or that of one exec into it."""

from __future__ import annotations

import pytest

from lab import Kubelet
from lab.stack import Record, Stack
from tests.stack_support import eventually, random_deployment

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]


def test_each_exec_into_a_container_is_a_tree_of_its_own(stack: Stack, module_kubelet: Kubelet) -> None:
    (pod,) = module_kubelet.run_deployment(random_deployment(1))
    for mark in ("first", "second"):
        pod.shell(f"busybox sh -c 'busybox echo {mark}-in; busybox true' & busybox echo {mark}-out; wait")

    def seen() -> dict[str, Record] | None:
        events = stack.records("events", namespace=pod.namespace, kind="exec", phase="run")
        found = {event["cmdline"]: event for event in events}
        wanted = [f"busybox echo {mark}-{where}" for mark in ("first", "second") for where in ("in", "out")]
        return {"entrypoint": events[0], **found} if all(line in found for line in wanted) else None

    found = eventually(seen)
    trees = {name: (event["entry_pid"], event["entry_start"]) for name, event in found.items()}
    assert trees["busybox echo first-in"] == trees["busybox echo first-out"]
    assert trees["busybox echo second-in"] == trees["busybox echo second-out"]
    assert len({trees["entrypoint"], trees["busybox echo first-in"], trees["busybox echo second-in"]}) == 3
    by_pid = {event["pid"] for event in found.values()}
    assert {pid for pid, _ in trees.values()} <= by_pid
