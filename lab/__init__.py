"""Real containers for tests, benchmarks and the demo, on a machine that can pull no image.

A containerd of its own (`Containerd`), images made from local files (`images`), and a client of
CRI v1 that acts the way the kubelet does (`Kubelet`). Nothing else on the machine is touched, and
what a crash leaves behind is swept away at the next start. `python -m lab --help` is for people.
"""

from lab.containerd import Containerd
from lab.docker import Docker, DockerContainer
from lab.images import WORKLOAD_IMAGE
from lab.kubelet import Kubelet
from lab.pod import ContainerSpec, Deployment, Mount, Pod, PodSpec, sleeping_pod
from lab.requirements import missing_for_containers, missing_for_docker

__all__ = [
    "WORKLOAD_IMAGE",
    "ContainerSpec",
    "Containerd",
    "Deployment",
    "Docker",
    "DockerContainer",
    "Kubelet",
    "Mount",
    "Pod",
    "PodSpec",
    "missing_for_containers",
    "missing_for_docker",
    "sleeping_pod",
]
