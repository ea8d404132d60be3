"""What the catalog says of real containers that came, ended, and stay in the runtime's memory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keelwatch.enrich import catalog as catalog_module
from keelwatch.enrich.catalog import Catalog, Changes
from keelwatch.enrich.runtime import Runtimes
from lab import ContainerSpec, Docker, Kubelet, Pod, PodSpec
from lab.pod import random_name

pytestmark = [pytest.mark.root, pytest.mark.containers]


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    runtimes = Runtimes()
    yield Catalog(runtimes, "one", "n")
    runtimes.close()


def short_lived(kubelet: Kubelet) -> Pod:
    """A pod whose container has ended, and which the runtime remembers."""
    spec = ContainerSpec("job", command=("toolbox", "sleep", "0"))
    pod = kubelet.run_pod(PodSpec(f"ns-{random_name(6)}", f"pod-{random_name(6)}", (spec,)))
    kubelet.wait_for_exit(pod.container.id)
    return pod


def told(changes: Changes, container_id: str) -> tuple[int, int]:
    """How often it was said to have started, and to have ended."""
    started = sum(at.id == container_id for at in changes.started)
    return started, sum(at.id == container_id for at in changes.ended)


def test_an_ended_container_is_told_once_with_the_runtimes_times(
    catalog: Catalog, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "LINGER", 0)
    pod = short_lived(kubelet)
    name, status = pod.container.id, kubelet.status(pod.container.id)
    catalog.scan()
    changes = catalog.poll()
    assert told(changes, name) == (1, 1)
    at = next(at for at in changes.ended if at.id == name)
    assert (at.first_seen, at.ended) == (status.created_at, status.finished_at)
    assert at.details is not None
    assert Path(at.details.log_path) == pod.container.log
    for _ in range(3):
        time.sleep(0.01)
        assert told(catalog.poll(), name) == (0, 0)
        catalog.scan()
        assert told(catalog.poll(), name) == (0, 0)
    late = catalog.container(name)  # an event of it that was under way for long
    assert late is not None
    assert late.identity.pod == pod.name
    assert told(catalog.poll(), name) == (0, 0)


def test_a_container_seen_running_ends_once(
    catalog: Catalog, kubelet: Kubelet, cri_pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "LINGER", 0)
    first = cri_pod.container.id
    catalog.scan()
    assert told(catalog.poll(), first) == (1, 0)
    cri_pod.restart_container(cri_pod.container.name)
    counts = [told(rounds(catalog), first) for _ in range(4)]
    assert [sum(each) for each in zip(*counts, strict=True)] == [0, 1]


def rounds(catalog: Catalog) -> Changes:
    """A round of housekeeping."""
    time.sleep(0.01)
    catalog.scan()
    return catalog.poll()


def test_a_container_that_nobody_knows_and_that_does_not_run_is_let_go(catalog: Catalog) -> None:
    name = secrets.token_hex(32)
    assert catalog.container(name) is not None
    assert told(until(catalog, lambda changes: told(changes, name)[1]), name)[1] == 1
    assert not catalog.incomplete()


def until(catalog: Catalog, wanted: Callable[[Changes], object]) -> Changes:
    """Poll until something was said."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        changes = catalog.poll()
        if wanted(changes):
            return changes
        time.sleep(0.1)
    raise AssertionError("nothing was said")


def test_a_docker_container_that_is_started_again_is_told_again(
    catalog: Catalog, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "LINGER", 0)
    container = docker.run(f"web-{random_name(5)}", ["loggen", "-r", "20"])
    try:
        catalog.scan()
        assert told(catalog.poll(), container.id) == (1, 0)
        container.stop()
        assert told(rounds(catalog), container.id) == (0, 1)
        assert told(rounds(catalog), container.id) == (0, 0)
        container.start()
        assert told(rounds(catalog), container.id) == (1, 0)
    finally:
        container.remove()
