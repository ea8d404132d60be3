"""Fixtures that every kind of test shares: a real containerd, a kubelet's client, running pods.

One containerd serves a whole test session; pods are made per test, with names drawn at random, so
that nothing can pass because a name is known.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import (
    Containerd,
    Docker,
    Kubelet,
    Pod,
    missing_for_containers,
    missing_for_docker,
)
from lab.pod import sleeping_pod


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests last: its driver leaves an event loop running that others cannot have."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(scope="session")
def lab_containerd() -> Iterator[Containerd]:
    """A containerd of its own with the pause and workload images."""
    if missing := missing_for_containers():
        pytest.skip(f"no containers here: {missing}")
    with Containerd() as containerd:
        yield containerd


@pytest.fixture
def kubelet(lab_containerd: Containerd) -> Iterator[Kubelet]:
    """Runs pods; those that the test leaves are deleted behind it."""
    made = Kubelet(lab_containerd.socket, lab_containerd.logs)
    try:
        yield made
        made.delete_all()
    finally:
        made.close()


@pytest.fixture
def cri_pod(kubelet: Kubelet) -> Pod:
    """A pod whose one container sleeps: `cri_pod.shell("...")` and `.run("prog", "arg")` act in it.

    Namespace, pod and container names are random. `cri_pod.container.id` is the container's id.
    """
    return kubelet.run_pod(sleeping_pod())


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """A dockerd of its own with the workload image: `docker.run(name, command)`."""
    if missing := missing_for_docker():
        pytest.skip(f"no Docker here: {missing}")
    with Docker() as made:
        yield made
