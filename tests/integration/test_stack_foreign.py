"""Files changed and processes run across container borders: who acted is one identity, whose file another."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ContainerSpec, Kubelet, Pod, PodSpec, sleeping_pod, sweep
from lab.pod import random_name
from lab.stack import Record, Stack
from tests.stack_support import eventually

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]
CHANGED = "File of a container changed from outside"


@pytest.fixture(scope="module")
def victim(stack: Stack, module_kubelet: Kubelet) -> Pod:
    return module_kubelet.run_pod(sleeping_pod())


@pytest.fixture(scope="module")
def intruder(stack: Stack, module_kubelet: Kubelet) -> Pod:
    """A privileged pod in the node's process namespace, as debugging tools ask for."""
    container = ContainerSpec("tools", command=("toolbox", "sleep", "100000"), privileged=True)
    spec = PodSpec(f"ns-{random_name(6)}", f"intruder-{random_name(5)}", (container,), host_pid=True)
    return module_kubelet.run_pod(spec)


def find(stack: Stack, table: str, name: str, **wanted: object) -> list[Record]:
    """Records about a file of this (random) name, with these columns."""
    rows = [row for row in stack.records(table, tail=100_000) if row["path"].endswith(f"/{name}")]
    return [row for row in rows if all(row[column] == value for column, value in wanted.items())]


def await_one(stack: Stack, table: str, name: str, **wanted: object) -> Record:
    """The one record of that description."""
    what = f"no row of {table} about {name} with {wanted}"
    found = eventually(lambda: find(stack, table, name, **wanted), what)
    assert len(found) == 1, found
    return dict(found[0])


def is_the_node(row: Record) -> bool:
    return not (row["container_id"] or row["pod"] or row["namespace"]) and bool(row["node"])


def is_file_of(row: Record, pod: Pod) -> bool:
    return (row["file_pod"], row["file_namespace"], row["file_container_id"]) == (
        pod.name, pod.namespace, pod.container.id,
    )  # fmt: skip


def is_by(row: Record, pod: Pod) -> bool:
    return (row["pod"], row["namespace"], row["container_id"]) == (
        pod.name, pod.namespace, pod.container.id,
    )  # fmt: skip


def test_the_node_writes_into_a_container_through_its_process(stack: Stack, victim: Pod) -> None:
    name = random_name(9)
    subprocess.run(["/bin/sh", "-c", f"echo hi > /proc/{victim.pid()}/root/etc/{name}"], check=True)
    event = await_one(stack, "events", name, kind="open")
    assert is_the_node(event)
    assert is_file_of(event, victim)
    alert = await_one(stack, "alerts", name, rule=CHANGED)
    assert is_the_node(alert)
    assert is_file_of(alert, victim)
    assert alert["process"]["name"] == "sh"
    assert alert["file_pod"] == victim.name


def test_the_node_writes_into_a_container_with_nsenter(stack: Stack, victim: Pod) -> None:
    """The shell is the node's, in the container's mount namespace, but not in its cgroup."""
    name = random_name(9)
    script = f"echo hi > /tmp/{name}; rm /tmp/{name}"
    subprocess.run(["nsenter", "-t", str(victim.pid()), "-m", "/bin/sh", "-c", script], check=True)
    for kind in ("open", "unlink"):
        event = await_one(stack, "events", name, kind=kind)
        assert is_the_node(event)
        assert is_file_of(event, victim)
        assert event["path"] == f"/tmp/{name}"
    alert = eventually(lambda: find(stack, "alerts", name, rule=CHANGED))[0]
    assert is_the_node(alert)
    assert is_file_of(alert, victim)


def test_the_node_changes_a_mode_in_a_container(stack: Stack, victim: Pod) -> None:
    name = random_name(9)
    victim.run("cp", "/bin/busybox", f"/tmp/{name}")
    subprocess.run(["chmod", "4755", name], cwd=f"/proc/{victim.pid()}/root/tmp", check=True)
    alert = await_one(stack, "alerts", name, rule=CHANGED, kind="chmod")
    assert is_the_node(alert)
    assert is_file_of(alert, victim)


def test_a_privileged_pod_changes_another_pods_file(stack: Stack, victim: Pod, intruder: Pod) -> None:
    name = random_name(9)
    intruder.shell(f"echo x > /proc/{victim.pid()}/root/tmp/{name}")
    event = await_one(stack, "events", name, kind="open")
    assert is_by(event, intruder)
    assert is_file_of(event, victim)
    alert = await_one(stack, "alerts", name, rule=CHANGED)
    assert is_by(alert, intruder)
    assert is_file_of(alert, victim)
    assert alert["file_pod"] == victim.name


def test_a_privileged_pod_makes_another_pods_file_executable(
    stack: Stack, victim: Pod, intruder: Pod
) -> None:
    """A call by path leaves the kernel no object to tell whose file it was; the path does."""
    name = random_name(9)
    victim.shell(f"echo x > /tmp/{name}")
    intruder.run("chmod", "+x", f"/proc/{victim.pid()}/root/tmp/{name}")
    alert = await_one(stack, "alerts", name, rule="File reached through another process's root")
    assert is_by(alert, intruder)
    assert (alert["kind"], alert["path_source"]) == ("chmod", "user")


def test_a_container_that_writes_its_own_file_has_one_identity(stack: Stack, victim: Pod) -> None:
    name = random_name(9)
    victim.shell(f"echo x > /tmp/{name}")
    event = await_one(stack, "events", name, kind="open")
    assert is_by(event, victim)
    assert event["file_container_id"] in ("", victim.container.id)
    assert find(stack, "alerts", name) == []


def test_a_containers_program_run_by_the_node_is_an_alert(stack: Stack, victim: Pod) -> None:
    name = random_name(9)
    victim.run("cp", "/usr/local/bin/toolbox", f"/tmp/{name}")
    subprocess.run([f"/proc/{victim.pid()}/root/tmp/{name}", "sleep", "0"], check=True)
    alert = await_one(stack, "alerts", name, rule="Program of a container run outside of it")
    assert is_the_node(alert)
    assert is_file_of(alert, victim)


@pytest.fixture
def elsewhere() -> Iterator[list[Path]]:
    """A cgroup of the node in each hierarchy, outside of every container."""
    made = [tree / f"keelwatch-test-{random_name(6)}" for tree in sweep.hierarchies()]
    made = [path for path in made if (path.parent / "cgroup.procs").exists()]
    for path in made:
        path.mkdir()
        for needed in path.glob("cpuset.[cm][pe]*s"):  # nothing can enter while these are empty
            with contextlib.suppress(OSError):
                needed.write_text((path.parent / needed.name).read_text())
    yield made
    for path in made:
        eventually(lambda at=path: _remove(at), f"{path} does not become empty")


def test_a_process_that_left_its_cgroup_is_still_its_pods(
    stack: Stack, intruder: Pod, elsewhere: list[Path]
) -> None:
    name = random_name(9)
    script = f"sleep 1; cp /usr/local/bin/toolbox /tmp/{name}; /tmp/{name} sleep 1; rm /tmp/{name}"
    intruder.shell(f"({script}) > /dev/null 2>&1 &")
    for pid in _running(name):
        for path in elsewhere:
            (path / "cgroup.procs").write_text(str(pid))
        assert intruder.container.id not in Path(f"/proc/{pid}/cgroup").read_text()
    alert = await_one(stack, "alerts", name, rule="New program run in a container")
    assert is_by(alert, intruder)
    assert alert["drift"] == "new"
    assert alert["story"]["writer"]["container_id"] == intruder.container.id


def test_a_process_that_entered_the_nodes_namespaces_is_still_its_pods(stack: Stack, intruder: Pod) -> None:
    """The last step of a breakout: the node's namespaces, then a program of the node."""
    target = Path(f"/tmp/{random_name(9)}")
    try:
        intruder.run("toolbox", "setns", str(os.getpid()), "mnt", "/bin/sh", "-c", f"echo done > {target}")
        assert target.read_text() == "done\n"
    finally:
        target.unlink(missing_ok=True)
    written = await_one(stack, "events", target.name, kind="open")
    assert is_by(written, intruder)
    rows = stack.records("events", namespace=intruder.namespace, kind="exec", tail=100_000)
    programs = {row["path"] for row in rows if row["pid"] == written["pid"]}
    assert {os.path.realpath("/bin/sh"), "/usr/local/bin/toolbox"} <= programs
    [entered] = [
        row
        for row in stack.records("alerts", namespace=intruder.namespace)
        if row["rule"] == "Container process entered another namespace" and row["pid"] == written["pid"]
    ]
    assert is_by(entered, intruder)
    assert entered["priority"] == "CRITICAL"


def _running(text: str) -> list[int]:
    """The processes whose command line has `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


def _remove(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()
