"""Acts the way the kubelet does, over CRI v1: labels, annotations, cgroups, log files, rotation."""

from __future__ import annotations

import gzip
import json
import shutil
import time
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keelwatch.enrich.runtime import cri_pb2
from keelwatch.enrich.runtime.cri import Cri, CriError
from lab.patience import PATIENCE
from lab.pod import ContainerSpec, Deployment, Pod, PodSpec, RunningContainer
from lab.sweep import pod_cgroup, remove_pod_cgroup

SLOW = 60.0
MAX_LOG_FILES = 5
"""The kubelet's containerLogMaxFiles."""


class Kubelet:
    """Runs pods on one runtime; `logs` is what /var/log/pods is on a node."""

    def __init__(self, runtime_socket: Path | str, logs: Path | str) -> None:
        self.logs = Path(logs)
        self._cri = Cri(runtime_socket)
        self.pods: list[Pod] = []

    def run_pod(self, spec: PodSpec) -> Pod:
        """Make the sandbox, then create and start each container."""
        logs = self.logs / f"{spec.namespace}_{spec.name}_{spec.uid}"
        logs.mkdir(mode=0o755, parents=True)
        config = _sandbox_config(spec, logs)
        handler = spec.runtime_handler
        sandbox = self._cri.call("RunPodSandbox", SLOW, config=config, runtime_handler=handler).pod_sandbox_id
        pod = Pod(self, spec, sandbox, logs)
        self.pods.append(pod)
        for container in spec.containers:
            pod.containers[container.name] = self._start(pod, container, 0)
        return pod

    def run_deployment(self, deployment: Deployment) -> list[Pod]:
        """Run all pods of the Deployment."""
        return [self.run_pod(spec) for spec in deployment.pods()]

    def exec(self, container_id: str, argv: list[str], timeout: float = 10.0) -> tuple[int, bytes, bytes]:
        """Run a command in a container; return (exit code, stdout, stderr)."""
        fields = {"container_id": container_id, "cmd": argv, "timeout": max(1, int(timeout))}
        answer = self._cri.call("ExecSync", timeout + 5, **fields)
        return answer.exit_code, answer.stdout, answer.stderr

    def status(self, container_id: str) -> Any:
        """CRI's ContainerStatus."""
        return self._cri.call("ContainerStatus", SLOW, container_id=container_id).status

    def pid_of(self, container_id: str) -> int:
        """The host's process id of the container's first process."""
        answer = self._cri.call("ContainerStatus", SLOW, container_id=container_id, verbose=True)
        return int(json.loads(answer.info["info"])["pid"])

    def wait_for_exit(self, container_id: str, timeout: float = 30.0) -> int:
        """Wait until the container's first process has ended; return its exit code."""
        end = time.monotonic() + timeout * PATIENCE
        while (status := self.status(container_id)).state != cri_pb2.CONTAINER_EXITED:
            if time.monotonic() > end:
                raise TimeoutError(f"container {container_id} did not end within {timeout} s")
            time.sleep(0.05)
        return int(status.exit_code)

    def restart_container(self, pod: Pod, name: str) -> RunningContainer:
        """Stop the container and start it anew; the dead one before it is removed with its log."""
        old = pod.containers[name]
        self._cri.call("StopContainer", SLOW, container_id=old.id, timeout=2)
        for dead in self._containers(pod):
            if dead.metadata.name == name and dead.id != old.id:
                self._remove(dead.id, pod.logs / name / f"{dead.metadata.attempt}.log")
        pod.containers[name] = self._start(pod, old.spec, old.restart + 1)
        return pod.containers[name]

    def rotate_logs(self, container: RunningContainer) -> Path:
        """Compress what was rotated before, rename the log, have the runtime open a new one."""
        rotated = sorted(container.log.parent.glob(f"{container.log.name}.*"))
        for old in rotated[: max(0, len(rotated) - (MAX_LOG_FILES - 2))]:
            old.unlink()
        for path in sorted(container.log.parent.glob(f"{container.log.name}.*")):
            if path.suffix != ".gz":
                _compress(path)
        target = _rotated_name(container.log)
        container.log.rename(target)
        self._cri.call("ReopenContainerLog", SLOW, container_id=container.id)
        return target

    def delete_pod(self, pod: Pod, grace: float = 2.0, linger: float = 1.0) -> None:
        """Stop the containers, and after `linger` seconds remove them and their logs.

        The kubelet collects the remains of a deleted pod within a minute; `linger` stands for that.
        """
        for container in pod.containers.values():
            self._cri.call("StopContainer", SLOW, container_id=container.id, timeout=int(grace))
        self._cri.call("StopPodSandbox", SLOW, pod_sandbox_id=pod.sandbox)
        time.sleep(linger)
        for container in self._containers(pod):
            log = pod.logs / container.metadata.name / f"{container.metadata.attempt}.log"
            self._remove(container.id, log)
        self._cri.call("RemovePodSandbox", SLOW, pod_sandbox_id=pod.sandbox)
        shutil.rmtree(pod.logs, ignore_errors=True)
        remove_pod_cgroup(pod.uid)
        self.pods.remove(pod)

    def delete_all(self) -> None:
        """Delete every pod that is left, at once."""
        for pod in list(self.pods):
            self.delete_pod(pod, grace=0, linger=0)

    def close(self) -> None:
        """Close the connection; the pods go on."""
        self._cri.close()

    def _start(self, pod: Pod, spec: ContainerSpec, restart: int) -> RunningContainer:
        (pod.logs / spec.name).mkdir(exist_ok=True)
        container = self._cri.call(
            "CreateContainer",
            SLOW,
            pod_sandbox_id=pod.sandbox,
            config=_container_config(pod.spec, spec, restart),
            sandbox_config=_sandbox_config(pod.spec, pod.logs),
        ).container_id
        self._cri.call("StartContainer", SLOW, container_id=container)
        return RunningContainer(spec, container, restart, pod.logs / spec.name / f"{restart}.log")

    def _containers(self, pod: Pod) -> list[Any]:
        wanted = {"pod_sandbox_id": pod.sandbox}
        return list(self._cri.call("ListContainers", SLOW, filter=wanted).containers)

    def _remove(self, container_id: str, log: Path) -> None:
        with suppress(CriError):
            self._cri.call("RemoveContainer", SLOW, container_id=container_id)
        for path in log.parent.glob(f"{log.name}*"):
            path.unlink(missing_ok=True)


def _sandbox_config(spec: PodSpec, logs: Path) -> dict[str, Any]:
    labels = {
        "io.kubernetes.pod.name": spec.name,
        "io.kubernetes.pod.namespace": spec.namespace,
        "io.kubernetes.pod.uid": spec.uid,
    }
    annotations = {
        "kubernetes.io/config.seen": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "kubernetes.io/config.source": "api",
    }
    pid = cri_pb2.NODE if spec.host_pid else cri_pb2.CONTAINER
    return {
        "metadata": {"name": spec.name, "uid": spec.uid, "namespace": spec.namespace, "attempt": 0},
        "log_directory": str(logs),
        "labels": {**spec.labels, **labels},
        "annotations": {**spec.annotations, **annotations},
        "linux": {
            "cgroup_parent": pod_cgroup(spec.uid),
            "security_context": {
                # The lab has no network plugin, so its pods share the node's network.
                "namespace_options": {"network": cri_pb2.NODE, "pid": pid},
                "privileged": any(container.privileged for container in spec.containers),
            },
        },
    }


def _container_config(pod: PodSpec, spec: ContainerSpec, restart: int) -> dict[str, Any]:
    return {
        "metadata": {"name": spec.name, "attempt": restart},
        "image": {"image": spec.image, "user_specified_image": spec.image},
        "command": list(spec.command),
        "args": list(spec.args),
        "envs": [{"key": k, "value": v.encode()} for k, v in {"HOSTNAME": pod.name, **spec.env}.items()],
        "mounts": [
            {"host_path": str(m.host_path), "container_path": m.container_path, "readonly": m.readonly}
            for m in spec.mounts
        ],
        "labels": _container_labels(pod, spec),
        "annotations": _container_annotations(spec, restart),
        "log_path": f"{spec.name}/{restart}.log",
        "tty": spec.tty,
        "linux": {"resources": {"cpu_shares": 2}, "security_context": _security_context(pod, spec)},
    }


def _container_labels(pod: PodSpec, spec: ContainerSpec) -> dict[str, str]:
    return {
        "io.kubernetes.container.name": spec.name,
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace,
        "io.kubernetes.pod.uid": pod.uid,
    }


def _container_annotations(spec: ContainerSpec, restart: int) -> dict[str, str]:
    return {
        "io.kubernetes.container.hash": f"{zlib.crc32(repr(spec).encode()):x}",
        "io.kubernetes.container.restartCount": str(restart),
        "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
        "io.kubernetes.container.terminationMessagePolicy": "File",
        "io.kubernetes.pod.terminationGracePeriod": "30",
    }


def _security_context(pod: PodSpec, spec: ContainerSpec) -> dict[str, Any]:
    context: dict[str, Any] = {
        "privileged": spec.privileged,
        "readonly_rootfs": spec.readonly_root,
        "capabilities": {"add_capabilities": list(spec.capabilities)},
        "namespace_options": {
            "network": cri_pb2.NODE,
            "pid": cri_pb2.NODE if pod.host_pid else cri_pb2.CONTAINER,
        },
        "masked_paths": []
        if spec.privileged
        else ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonly_paths": [] if spec.privileged else ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
    }
    if spec.user is not None:
        context["run_as_user"] = {"value": spec.user}
    return context


def _rotated_name(log: Path) -> Path:
    """`0.log.20060102-150405`; the kubelet rotates at most every ten seconds, a test may not wait."""
    while True:
        target = log.with_name(f"{log.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
        if not target.exists() and not target.with_name(target.name + ".gz").exists():
            return target
        time.sleep(0.05)


def _compress(path: Path) -> None:
    draft = path.with_name(path.name + ".tmp")
    with path.open("rb") as source, gzip.open(draft, "wb") as target:
        shutil.copyfileobj(source, target)
    draft.rename(path.with_name(path.name + ".gz"))
    path.unlink()
