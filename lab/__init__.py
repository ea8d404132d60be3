"""Real containers for tests, benchmarks and the demo, on a machine that can pull no image.

A runtime of its own (`Containerd`, or `Crio`), images made from local files (`images`), and a client
of CRI v1 that acts the way the kubelet does (`Kubelet`). Nothing else on the machine is touched, and
what a crash leaves behind is swept away at the next start. `python -m lab --help` is for people.
"""

from lab.containerd import Containerd
from lab.cri_runtime import CriRuntime
from lab.crio import Crio
from lab.docker import Docker, DockerContainer
from lab.images import WORKLOAD_IMAGE
from lab.kubelet import Kubelet
from lab.pod import ContainerSpec, Deployment, Mount, Pod, PodSpec, sleeping_pod
from lab.requirements import missing_for_containers, missing_for_crio, missing_for_docker

__all__ = [
    "WORKLOAD_IMAGE",
    "ContainerSpec",
    "Containerd",
    "CriRuntime",
    "Crio",
    "Deployment",
    "Docker",
    "DockerContainer",
    "Kubelet",
    "Mount",
    "Pod",
    "PodSpec",
    "missing_for_containers",
    "missing_for_crio",
    "missing_for_docker",
    "sleeping_pod",
]
