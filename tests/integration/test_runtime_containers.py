"""Containers found on the machine as it is: containerd over CRI, plain containerd, Docker."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keelwatch.enrich.runtime import ContainerDetails, Runtimes, cgroups, identity_of
from lab import WORKLOAD_IMAGE, Containerd, Deployment, Docker, Kubelet, Pod
from lab.cri_runtime import SANDBOX_HANDLER
from lab.images import workload_image
from lab.pod import random_name, sleeping_pod

pytestmark = [pytest.mark.root, pytest.mark.containers]


@pytest.fixture
def runtimes() -> Iterator[Runtimes]:
    made = Runtimes()
    yield made
    made.close()


def found(runtimes: Runtimes, container_id: str, pid: int = 0) -> ContainerDetails:
    details = runtimes.find(container_id, pid)
    assert details is not None
    return details


def test_a_pods_container_is_known_in_full(runtimes: Runtimes, cri_pod: Pod, runtime_name: str) -> None:
    details = found(runtimes, cri_pod.container.id, cri_pod.pid())
    assert (details.runtime, details.kind, details.complete) == (runtime_name, "container", True)
    assert (details.namespace, details.pod, details.pod_uid) == (cri_pod.namespace, cri_pod.name, cri_pod.uid)
    assert (details.name, details.restart, details.image) == (cri_pod.container.name, 0, WORKLOAD_IMAGE)
    assert details.image_digest.startswith("sha256:")
    assert details.labels["app"] == cri_pod.spec.labels["app"]
    assert (details.log_path, details.log_format) == (str(cri_pod.container.log), "cri")
    assert (details.sandbox_id, details.pid, details.state) == (cri_pod.sandbox, cri_pod.pid(), "running")
    assert abs(details.created - time.time_ns()) < 60 * 10**9


def test_a_pods_annotations_and_labels_do_not_change_who_it_is(
    runtimes: Runtimes, kubelet: Kubelet, runtime_name: str, sandbox_runs: bool
) -> None:
    spec = sleeping_pod()
    annotations = {"io.kubernetes.container.restartCount": "9" * 20, "io.container.manager": "libpod"}
    labels = {"io.kubernetes.container.name": "evil", "io.kubernetes.container.restartCount": "7"}
    pod = kubelet.run_pod(replace(spec, annotations=annotations, labels=labels))
    wanted = [(pod.container.id, pod.container.name)] + [(pod.sandbox, "")] * sandbox_runs
    for container_id, name in wanted:
        details = found(runtimes, container_id)
        assert (details.runtime, details.restart, details.name) == (runtime_name, 0, name)
        assert (details.pod, details.namespace, details.pod_uid) == (pod.name, pod.namespace, pod.uid)
    assert details.annotations["io.kubernetes.container.restartCount"] == "9" * 20
    again = pod.restart_container(pod.container.name)
    assert found(runtimes, again.id).restart == 1


def test_the_layers_are_where_the_containers_files_are(runtimes: Runtimes, cri_pod: Pod) -> None:
    name, content = secrets.token_hex(8), secrets.token_hex(8)
    cri_pod.shell(f"echo {content} > /{name}")
    details = found(runtimes, cri_pod.container.id, cri_pod.pid())
    assert (Path(details.upper_dir) / name).read_text() == content + "\n"
    assert any((Path(layer) / "usr/local/bin/toolbox").exists() for layer in details.lower_dirs)
    assert details.root_device == Path(f"/proc/{cri_pod.pid()}/root").stat().st_dev


def test_without_a_process_id_it_is_found_too(runtimes: Runtimes, cri_pod: Pod) -> None:
    assert found(runtimes, cri_pod.container.id).pod == cri_pod.name
    gone = 2**22 - 1
    assert found(runtimes, cri_pod.container.id, gone).pod == cri_pod.name


def test_the_sandbox_is_told_apart(runtimes: Runtimes, cri_pod: Pod, sandbox_runs: bool) -> None:
    if not sandbox_runs:
        assert runtimes.find(cri_pod.sandbox) is None
        return
    details = found(runtimes, cri_pod.sandbox)
    assert (details.kind, details.name, details.pod) == ("sandbox", "", cri_pod.name)
    assert details.labels["app"] == cri_pod.spec.labels["app"]


def test_the_handler_of_a_pod_is_known(runtimes: Runtimes, kubelet: Kubelet, cri_pod: Pod) -> None:
    pod = kubelet.run_pod(replace(sleeping_pod(), runtime_handler=SANDBOX_HANDLER))
    assert found(runtimes, pod.container.id).runtime_handler == SANDBOX_HANDLER
    assert found(runtimes, cri_pod.container.id).runtime_handler == ""


def test_a_look_up_is_quick(runtimes: Runtimes, cri_pod: Pod) -> None:
    pid = cri_pod.pid()
    found(runtimes, cri_pod.container.id, pid)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        found(runtimes, cri_pod.container.id, pid)
        times.append(time.perf_counter() - start)
    assert sorted(times)[10] < 0.05


def test_the_identity_names_the_deployment(runtimes: Runtimes, kubelet: Kubelet) -> None:
    deployment = Deployment(f"ns-{random_name(5)}", f"web-{random_name(5)}")
    for pod in kubelet.run_deployment(deployment):
        identity = identity_of(found(runtimes, pod.container.id), "one", "node-1")
        assert (identity.workload_kind, identity.workload) == ("Deployment", deployment.name)
        assert (identity.namespace, identity.revision) == (deployment.namespace, deployment.template_hash)
        assert "workload=inferred" in identity.identity_source


def test_at_the_first_process_in_its_cgroup_the_pod_is_known(
    runtimes: Runtimes, kubelet: Kubelet, cri_pod: Pod, sandbox_runs: bool
) -> None:
    """The runtime is still setting the container up then, and its first event is of that phase.

    An empty cgroup is nobody's yet: an event always has a process.
    """
    known, first = set(cgroups.find_all()), {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for container_id, path in cgroups.find_all().items():
                if container_id in known or container_id in first:
                    continue
                if pid := cgroups.first_pid(path):
                    first[container_id] = runtimes.find(container_id, pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    pods = [kubelet.run_pod(spec) for spec in Deployment("shop", random_name(6), replicas=3).pods()]
    time.sleep(0.3)
    stop.set()
    watcher.join()
    for pod in pods:
        details = first[pod.container.id]
        assert details is not None
        assert (details.namespace, details.pod, details.name) == ("shop", pod.name, pod.container.name)
        assert details.image == WORKLOAD_IMAGE
        assert details.root_device
        sandbox = first.get(pod.sandbox)
        assert (sandbox is not None) == sandbox_runs
        assert sandbox is None or (sandbox.namespace, sandbox.pod) == ("shop", pod.name)


def test_scan_lists_running_and_ended_containers(
    runtimes: Runtimes, kubelet: Kubelet, cri_pod: Pod, sandbox_runs: bool
) -> None:
    before = cri_pod.container
    after = cri_pod.restart_container(before.name)
    states = {details.id: details for details in runtimes.scan()}
    assert states[after.id].state == "running"
    assert states[after.id].restart == 1
    assert [states[name].kind for name in {cri_pod.sandbox} & states.keys()] == ["sandbox"] * sandbox_runs
    ended = states[before.id]
    assert (ended.state, ended.pod, ended.log_path) == ("exited", cri_pod.name, str(before.log))
    assert ended.ended >= ended.created > 0


def test_running_follows_the_container(runtimes: Runtimes, cri_pod: Pod) -> None:
    assert runtimes.running(cri_pod.container.id)
    cri_pod.delete(grace=0, linger=0)
    assert not runtimes.running(cri_pod.container.id)
    assert runtimes.find(cri_pod.container.id) is None


def test_without_an_answer_from_cri_the_bundle_still_tells(runtimes: Runtimes) -> None:
    """containerd is stopped and a socket that never answers stands in its place."""
    containerd = Containerd().start()
    kubelet = Kubelet(containerd.socket, containerd.logs)
    try:
        pod = kubelet.run_deployment(Deployment("shop", "web", 1))[0]
        pid = pod.pid()
        containerd.stop_daemon()
        containerd.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(containerd.socket))
            deaf.listen()
            start = time.perf_counter()
            details = found(runtimes, pod.container.id, pid)
            assert time.perf_counter() - start < 0.4
            assert (details.namespace, details.pod, details.name) == ("shop", pod.name, "web")
            assert details.image == WORKLOAD_IMAGE
            assert not details.complete
            start = time.perf_counter()
            found(runtimes, pod.container.id, pid)
            assert time.perf_counter() - start < 0.05
        containerd.socket.unlink()
        containerd.restart_daemon()
        end = time.monotonic() + 5
        while not found(runtimes, pod.container.id, pid).complete:
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        kubelet.close()
        containerd.stop()


def test_plain_containerd_without_kubernetes(runtimes: Runtimes, lab_containerd: Containerd) -> None:
    container_id = secrets.token_hex(32)
    namespace = f"n{random_name(5)}"
    digest = lab_containerd.import_image(workload_image(), namespace)
    options = ("--detach", "--label", "team=shop", WORKLOAD_IMAGE, container_id, "toolbox", "sleep", "1000")
    lab_containerd.ctr("run", *options, namespace=namespace)
    try:
        details = found(runtimes, container_id)
        assert (details.runtime, details.pod, details.name) == ("containerd", "", container_id)
        assert (details.image, details.image_digest) == (WORKLOAD_IMAGE, digest)
        assert details.labels["team"] == "shop"
        assert details.state == "running"
        assert details.complete
        assert details.root_device
        assert container_id in {each.id for each in runtimes.scan()}
    finally:
        lab_containerd.ctr("task", "kill", "-s", "KILL", container_id, namespace=namespace)
        time.sleep(0.2)
        lab_containerd.ctr("container", "rm", container_id, namespace=namespace)


def test_docker(runtimes: Runtimes, docker: Docker) -> None:
    name = f"web-{random_name(5)}"
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    container = docker.run(name, ["loggen", "-r", "20"], labels=labels)
    try:
        details = found(runtimes, container.id, container.pid())
        assert (details.runtime, details.name, details.image) == ("docker", name, WORKLOAD_IMAGE)
        assert (details.log_path, details.log_format) == (str(container.log), "json-file")
        assert details.root_device == Path(f"/proc/{container.pid()}/root").stat().st_dev
        assert any((Path(layer) / "usr/local/bin/toolbox").exists() for layer in details.lower_dirs)
        assert details.complete
        assert identity_of(details, "one", "n").namespace == "shop"
        container.stop()
        ended = {each.id: each for each in runtimes.scan()}[container.id]
        assert (ended.state, ended.log_path) == ("exited", str(container.log))
    finally:
        container.remove()
