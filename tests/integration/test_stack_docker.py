"""Docker without Kubernetes: json-file logs, Compose's labels as identity, drift in a container of its."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Docker, DockerContainer
from lab.pod import random_name
from lab.stack import Record, Stack
from tests.stack_support import each_once, eventually, numbers, what_is_wrong

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]
LINES, LONG = 2000, 50_000


@pytest.fixture(scope="module")
def service(stack: Stack, docker: Docker) -> Iterator[tuple[str, list[DockerContainer]]]:
    """A Compose service of two instances, whose small logs Docker rotates."""
    project = f"proj-{random_name(5)}"
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "web"}
    command = ["loggen", "-n", str(LINES), "-r", "1000", "-s", "120", "-p", "line"]
    options = {"max-size": "100k", "max-file": "3"}
    made = [docker.run(f"{project}-web-{n}", command, labels=labels, log_options=options) for n in (1, 2)]
    yield project, made
    for container in made:
        container.remove()


def test_every_line_is_there_once_with_the_service_as_workload(
    stack: Stack, service: tuple[str, list[DockerContainer]]
) -> None:
    project, containers = service
    for at in containers:
        rows = lines_of(stack, at, LINES)
        assert each_once(rows, "line", LINES), what_is_wrong(rows, "line", LINES)
        assert all((int(r["message"].split()[1]) % 10 == 0) == (r["stream"] == "stderr") for r in rows)
        wanted = {"workload": "web", "namespace": project, "container": at.name, "pod": ""}
        assert {name: {row[name] for row in rows} for name in wanted} == {k: {v} for k, v in wanted.items()}


def test_lines_that_docker_split_are_whole_again(stack: Stack, docker: Docker) -> None:
    at = docker.run(f"long-{random_name(5)}", ["loggen", "-n", "30", "-s", str(LONG), "-p", "line"])
    rows = lines_of(stack, at, 30)
    at.remove()
    assert each_once(rows, "line", 30), what_is_wrong(rows, "line", 30)
    assert {len(row["message"].split(" ", 2)[2]) for row in rows} == {LONG}


def test_the_last_lines_before_a_removal_are_kept(stack: Stack, docker: Docker) -> None:
    script = "loggen -n 300 -p line & sleep 0.3; kill $!"
    at = docker.run(f"short-{random_name(5)}", ["/bin/sh", "-c", script])
    while at.inspect()["State"]["Running"]:
        time.sleep(0.02)
    at.remove()
    rows = lines_of(stack, at, 300)
    assert each_once(rows, "line", 300), what_is_wrong(rows, "line", 300)


def test_a_container_that_is_started_again_is_followed_again(stack: Stack, docker: Docker) -> None:
    """It keeps its id and log, unlike in Kubernetes; what was read before is not read twice."""
    at = docker.run(f"again-{random_name(5)}", ["loggen", "-n", "100", "-p", "line"])
    lines_of(stack, at, 100)
    at.stop()
    eventually(lambda: ends(stack, at) == 1, "its end was not seen")
    at.start()
    rows = lines_of(stack, at, 200)
    at.remove()
    eventually(lambda: ends(stack, at) == 2, "its second end was not seen")
    assert set(numbers(rows, "line").values()) == {2}
    assert len(rows) == 200


def ends(stack: Stack, at: DockerContainer) -> int:
    rows = stack.records("lifecycle", container_id=at.id)
    return sum(row["kind"] == "container_ended" for row in rows)


def test_a_new_program_in_a_docker_container_is_an_alert(stack: Stack, docker: Docker) -> None:
    path = f"/tmp/{random_name(7)}"
    script = f"sleep 0.5; cp /usr/local/bin/toolbox {path}; {path} sleep 1; sleep 100000"
    at = docker.run(f"drift-{random_name(5)}", ["/bin/sh", "-c", script])

    def alert() -> list[Record]:
        rows = stack.records("alerts", container_id=at.id)
        return [row for row in rows if row["rule"] == "New program run in a container"]

    [found] = eventually(alert)
    at.remove()
    assert (found["path"], found["drift"], found["container"]) == (path, "new", at.name)
    assert found["story"]["writer"]["name"] == "cp"


def lines_of(stack: Stack, at: DockerContainer, lines: int) -> list[Record]:
    """The container's lines, when they are all there or time is up."""

    def found() -> list[Record]:
        return stack.records("logs", container_id=at.id, tail=100_000)

    def complete() -> bool:
        return sum(numbers(found(), "line").values()) >= lines

    try:
        eventually(complete)
    except AssertionError:
        raise AssertionError(what_is_wrong(found(), "line", lines)) from None
    return found()
