"""Container logs, from the runtime's files to the store: every line exactly once, as whose line it was."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import ContainerSpec, Kubelet, Pod, PodSpec
from lab.pod import random_name
from lab.stack import Record, Stack
from tests.stack_support import (
    each_once,
    eventually,
    generator,
    keelwatch,
    random_deployment,
    what_is_wrong,
)

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

LINES, RATE, LONG_LINES, LONG = 4000, 1000, 60, 40_000
GARBAGE = r'i=0; while [ $i -lt 50 ]; do i=$((i+1)); printf "bin $i \377\376\200\033[31m\t%s\r\n" "<b>"; done'


def lines_of(stack: Stack, pod: Pod, container: str = "", **parameters: object) -> list[Record]:
    wanted = {"container": container} if container else {}
    return stack.records("logs", namespace=pod.namespace, pod=pod.name, tail=100_000, **wanted, **parameters)


def wait_for_lines(stack: Stack, pod: Pod, container: str, lines: int, **parameters: object) -> list[Record]:
    """The container's lines, once each of them is there; and a moment later there are no more."""

    def complete() -> list[Record]:
        found = lines_of(stack, pod, container, **parameters)
        return found if len(found) >= lines else []

    try:
        eventually(complete)
    except AssertionError:
        prefix = container
        raise AssertionError(what_is_wrong(lines_of(stack, pod, container), prefix, lines)) from None
    return complete()


@pytest.fixture(scope="module")
def workload(stack: Stack, module_kubelet: Kubelet) -> list[Pod]:
    """Two instances with three containers each, whose logs are rotated while they write."""
    deployment = random_deployment(
        2,
        generator("plain", LINES, "-r", str(RATE), "-s", "80", name="plain"),
        generator("long", LONG_LINES, "-r", "30", "-s", str(LONG), name="long"),
        ContainerSpec("bin", command=("/bin/sh", "-c", f"{GARBAGE}; exec sleep 100000")),
    )
    pods = module_kubelet.run_deployment(deployment)
    for _ in range(4):
        for pod in pods:
            pod.rotate_logs("plain")
            pod.rotate_logs("long")
        time.sleep(0.7)
    return pods


def workload_name(pod: Pod) -> str:
    return pod.name.rsplit("-", 2)[0]


def test_every_line_of_both_instances_is_there_once_over_rotations(stack: Stack, workload: list[Pod]) -> None:
    for pod in workload:
        rows = wait_for_lines(stack, pod, "plain", LINES)
        assert each_once(rows, "plain", LINES), what_is_wrong(rows, "plain", LINES)
        rotated = list(pod.containers["plain"].log.parent.iterdir())
        assert any(path.suffix == ".gz" for path in rotated), "the test did not rotate as the kubelet does"


def test_streams_and_order_are_those_of_the_program(stack: Stack, workload: list[Pod]) -> None:
    rows = wait_for_lines(stack, workload[0], "plain", LINES)
    for row in rows:
        number = int(row["message"].split(" ", 2)[1])
        assert row["stream"] == ("stderr" if number % 10 == 0 else "stdout")
        assert row["message"] == f"plain {number} {'x' * 80}"
    errors = lines_of(stack, workload[0], "plain", stream="stderr")
    assert len(errors) == LINES // 10
    numbers = [int(row["message"].split(" ", 2)[1]) for row in rows if row["stream"] == "stdout"]
    assert numbers == sorted(numbers)


def test_lines_that_the_runtime_split_are_whole_again(stack: Stack, workload: list[Pod]) -> None:
    for pod in workload:
        rows = wait_for_lines(stack, pod, "long", LONG_LINES)
        assert each_once(rows, "long", LONG_LINES), what_is_wrong(rows, "long", LONG_LINES)
        assert {len(row["message"].split(" ", 2)[2]) for row in rows} == {LONG}


def test_binary_lines_are_kept(stack: Stack, workload: list[Pod]) -> None:
    for pod in workload:
        rows = wait_for_lines(stack, pod, "bin", 50)
        assert each_once(rows, "bin", 50), what_is_wrong(rows, "bin", 50)
        assert all("<b>" in row["message"] and "\x1b[31m" in row["message"] for row in rows)


def test_lines_carry_the_identity_of_their_instance(stack: Stack, workload: list[Pod]) -> None:
    for pod in workload:
        for name, container in pod.containers.items():
            rows = lines_of(stack, pod, name)
            wanted = {
                "pod_uid": pod.uid,
                "container_id": container.id,
                "restart": 0,
                "image": container.spec.image,
                "workload_kind": "Deployment",
                "workload": workload_name(pod),
                "revision": pod.name.rsplit("-", 2)[1],
            }
            for column, value in wanted.items():
                assert {row[column] for row in rows} == {value}, column


def test_no_gap_is_about_these_logs(stack: Stack, workload: list[Pod]) -> None:
    gaps = stack.records("gaps", namespace=workload[0].namespace)
    assert [(gap["what"], gap["cause"], gap["detail"]) for gap in gaps] == []


def test_the_command_shows_the_living_and_the_dead_in_one_stream(stack: Stack, kubelet: Kubelet) -> None:
    deployment = random_deployment(2, generator("order", 30))
    living, dead = kubelet.run_deployment(deployment)
    wait_for_lines(stack, dead, "app", 30)
    wait_for_lines(stack, living, "app", 30)
    dead.delete()
    where = ["--hub", stack.address, "--token-file", str(stack.directory / "data" / "login.token")]
    shown = keelwatch("logs", "-n", deployment.namespace, f"deploy/{deployment.name}", *where)
    assert shown.returncode == 0, shown.stderr
    for pod in (living, dead):
        assert shown.stdout.count(f"{pod.name}/app") == 30
    one = keelwatch("logs", "-n", deployment.namespace, f"pod/{dead.name}", "--no-prefix", *where)
    assert sorted(one.stdout.split("\n"))[1].startswith("order 1")


def test_a_restarted_container_is_another_instance_of_the_same_pod(stack: Stack, kubelet: Kubelet) -> None:
    [pod] = kubelet.run_deployment(random_deployment(1, generator("app", 500)))
    first = pod.container
    second = pod.restart_container("app")
    rows = wait_for_lines(stack, pod, "app", 1000)
    for container in (first, second):
        own = [row for row in rows if row["container_id"] == container.id]
        assert each_once(own, "app", 500), what_is_wrong(own, "app", 500)
        assert {row["restart"] for row in own} == {container.restart}


def test_the_last_line_before_a_pods_deletion_is_kept(stack: Stack, kubelet: Kubelet) -> None:
    """Containers that live less than a second write, end, and their pod is deleted with its files."""
    namespace = f"short-{random_name(6)}"
    script = "loggen -n 300 -p app & sleep 0.3; kill $!; wait; echo app 301 end"
    spec = ContainerSpec("app", command=("/bin/sh", "-c", script))
    pods = []
    for _ in range(5):
        pod = kubelet.run_pod(PodSpec(namespace, f"pod-{random_name(6)}", (spec,)))
        kubelet.wait_for_exit(pod.container.id)
        pod.delete(grace=0, linger=0)
        assert not Path(pod.logs).exists()
        pods.append(pod)
    for pod in pods:
        rows = wait_for_lines(stack, pod, "app", 301)
        assert each_once(rows, "app", 301), what_is_wrong(rows, "app", 301)


def test_a_kill_in_the_middle_of_a_line_keeps_the_part(stack: Stack, kubelet: Kubelet) -> None:
    spec = ContainerSpec("app", command=("/bin/sh", "-c", "echo app 1 whole; printf 'app 2 cut'; sleep 9999"))
    pod = kubelet.run_pod(PodSpec(f"cut-{random_name(5)}", f"pod-{random_name(5)}", (spec,)))
    time.sleep(0.5)
    pod.delete(grace=0)
    rows = wait_for_lines(stack, pod, "app", 2)
    assert [row["message"] for row in rows] == ["app 1 whole", "app 2 cut"]
