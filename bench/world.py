"""Containers for the benchmarks: the lab's image with the load program in it, pods that run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import Containerd, ContainerSpec, Kubelet, Pod, PodSpec
from lab.images import Image, compile_program, workload_image
from lab.pod import random_name

IMAGE = "localhost/keelwatch/bench:1"
LOAD = "/usr/local/bin/load"
PROGRAMS = Path(__file__).parent / "programs"
NAMESPACE = "bench"
EXEC_SECONDS = 900.0


@contextmanager
def containers(*images: Image) -> Iterator[Kubelet]:
    """A containerd of its own with the benchmarks' image, and `images` besides."""
    with Containerd() as containerd:
        for image in (bench_image(), *images):
            containerd.import_image(image)
        kubelet = Kubelet(containerd.socket, containerd.logs)
        try:
            yield kubelet
            kubelet.delete_all()
        finally:
            kubelet.close()


def bench_image(name: str = IMAGE) -> Image:
    """The workload image and `load`."""
    image = workload_image(name)
    image.files[LOAD.lstrip("/")] = (compile_program("load", PROGRAMS), 0o755)
    return image


def host_load(folder: Path) -> Path:
    """The load program as a file of the host."""
    path = folder / "load"
    path.write_bytes(compile_program("load", PROGRAMS))
    path.chmod(0o755)
    return path


def run_pod(kubelet: Kubelet, name: str, *command: str, image: str = IMAGE) -> Pod:
    """A pod with one container; without a command it sleeps."""
    container = ContainerSpec(name, image, command=command or ("toolbox", "sleep", "100000"))
    spec = PodSpec(NAMESPACE, f"{name}-{random_name(5)}", (container,), {"app": name})
    return kubelet.run_pod(spec)


def load(pod: Pod, *arguments: str) -> str:
    """Run `load` in the pod's container; return what it printed."""
    return pod.run(LOAD, *arguments, timeout=EXEC_SECONDS)
