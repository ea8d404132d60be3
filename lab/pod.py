"""What a test or the demo says about a pod, and the running pod it gets back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from lab.images import WORKLOAD_IMAGE

if TYPE_CHECKING:
    from lab.kubelet import Kubelet

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes makes names from these only, so that no word can come up by chance."""


def random_name(length: int) -> str:
    """A random part of a name, as Kubernetes makes them."""
    return "".join(random.choices(ALPHABET, k=length))


@dataclass(frozen=True)
class Mount:
    """A host folder or file, as a volume mount shows it to the container."""

    host_path: Path
    container_path: str
    readonly: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """`command` replaces the image's entrypoint, `args` its arguments."""

    name: str
    image: str = WORKLOAD_IMAGE
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    readonly_root: bool = False
    user: int | None = None
    tty: bool = False


@dataclass(frozen=True)
class PodSpec:
    """A pod as the kubelet would get it from the API server."""

    namespace: str
    name: str
    containers: tuple[ContainerSpec, ...]
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    uid: str = field(default_factory=lambda: str(uuid4()))
    host_pid: bool = False
    runtime_handler: str = ""  # "" for the runtime's default


def sleeping_pod(namespace: str = "", privileged: bool = False) -> PodSpec:
    """A pod with random names whose container does nothing."""
    container = ContainerSpec(
        f"c-{random_name(6)}", command=("toolbox", "sleep", "100000"), privileged=privileged
    )
    labels = {"app": random_name(6)}
    return PodSpec(namespace or f"ns-{random_name(6)}", f"pod-{random_name(6)}", (container,), labels)


@dataclass(frozen=True)
class Deployment:
    """A Deployment's pods, named and labelled the way its ReplicaSet does it."""

    namespace: str
    name: str
    replicas: int = 2
    containers: tuple[ContainerSpec, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    template_hash: str = field(default_factory=lambda: random_name(9))

    def pods(self) -> list[PodSpec]:
        """New pods of this Deployment; each call draws new names."""
        containers = self.containers or (ContainerSpec(self.name),)
        labels = {"app": self.name, **self.labels, "pod-template-hash": self.template_hash}
        prefix = f"{self.name}-{self.template_hash}"
        return [
            PodSpec(self.namespace, f"{prefix}-{random_name(5)}", containers, labels)
            for _ in range(self.replicas)
        ]


@dataclass
class RunningContainer:
    """One container of a pod, as CRI named it."""

    spec: ContainerSpec
    id: str
    restart: int
    log: Path

    @property
    def name(self) -> str:
        """The name within the pod."""
        return self.spec.name


@dataclass
class Pod:
    """A pod that runs. `containers` changes when a container is restarted."""

    kubelet: Kubelet
    spec: PodSpec
    sandbox: str
    logs: Path
    containers: dict[str, RunningContainer] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.spec.namespace

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def uid(self) -> str:
        return self.spec.uid

    @property
    def container(self) -> RunningContainer:
        """The first container."""
        return next(iter(self.containers.values()))

    def exec(self, container: str, argv: list[str], timeout: float = 10.0) -> tuple[int, bytes, bytes]:
        """Run a command in the container; return (exit code, stdout, stderr)."""
        return self.kubelet.exec(self.containers[container].id, argv, timeout)

    def run(self, *argv: str, timeout: float = 10.0) -> str:
        """Run a command in the first container; return its output, raise when it fails."""
        code, out, err = self.exec(self.container.name, list(argv), timeout)
        if code:
            raise RuntimeError(f"{' '.join(argv)}: exit code {code}: {err.decode(errors='replace').strip()}")
        return out.decode(errors="replace")

    def shell(self, script: str, timeout: float = 10.0) -> str:
        """Run a shell script in the first container, as `run` does."""
        return self.run("/bin/sh", "-c", script, timeout=timeout)

    def pid(self, container: str | None = None) -> int:
        """The host's process id of the container's first process."""
        return self.kubelet.pid_of((self.containers[container] if container else self.container).id)

    def restart_container(self, container: str) -> RunningContainer:
        """Stop the container and start it anew, with the next restart count."""
        return self.kubelet.restart_container(self, container)

    def rotate_logs(self, container: str) -> Path:
        """Rotate the container's log as the kubelet does; return the rotated file."""
        return self.kubelet.rotate_logs(self.containers[container])

    def delete(self, grace: float = 2.0, linger: float = 1.0) -> None:
        """End the pod as `kubectl delete` does; see Kubelet.delete_pod."""
        self.kubelet.delete_pod(self, grace, linger)
