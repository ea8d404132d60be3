"""Fixtures that every kind of test shares: a real container runtime, a kubelet's client, running pods.

One runtime serves a whole test session: containerd, unless `--runtime cri-o` is given. Pods are made per
test, with names drawn at random, so that nothing can pass because a name is known.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import (
    Containerd,
    Crio,
    CriRuntime,
    Docker,
    Kubelet,
    Pod,
    missing_for_containers,
    missing_for_crio,
    missing_for_docker,
)
from lab.pod import sleeping_pod


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which runtime the tests' pods run on."""
    parser.addoption("--runtime", choices=["containerd", "cri-o"], default="containerd", help="of the pods")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests last: its driver leaves an event loop running that others cannot have."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(scope="session")
def runtime_name(request: pytest.FixtureRequest) -> str:
    """The runtime of the pods, "containerd" or "cri-o"."""
    return str(request.config.getoption("--runtime"))


@pytest.fixture(scope="session")
def sandbox_runs(runtime_name: str) -> bool:
    """Whether a process holds a pod's namespaces; CRI-O pins them to files instead."""
    return runtime_name != "cri-o"


@pytest.fixture(scope="session")
def lab_runtime(runtime_name: str) -> Iterator[CriRuntime]:
    """A runtime of its own with the pause and workload images."""
    crio = runtime_name == "cri-o"
    if missing := missing_for_crio() if crio else missing_for_containers():
        pytest.skip(f"no containers here: {missing}")
    with Crio() if crio else Containerd() as runtime:
        yield runtime


@pytest.fixture(scope="session")
def lab_containerd(lab_runtime: CriRuntime) -> Containerd:
    """The same, for tests of what only containerd can do."""
    if not isinstance(lab_runtime, Containerd):
        pytest.skip("this needs --runtime containerd")
    return lab_runtime


@pytest.fixture
def kubelet(lab_runtime: CriRuntime) -> Iterator[Kubelet]:
    """Runs pods; those that the test leaves are deleted behind it."""
    made = Kubelet(lab_runtime.socket, lab_runtime.logs)
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
