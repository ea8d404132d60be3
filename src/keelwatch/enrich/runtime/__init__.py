"""What the container runtimes know: from a container id to pod, image, labels, log file and layers.

Enters: a container id, and one of its processes. Leaves: ContainerDetails, and an Identity made from
them. Everything is found on the machine (cgroups, shims, the runtimes' state and sockets); nothing is
configured.
"""

from keelwatch.enrich.runtime.details import ContainerDetails
from keelwatch.enrich.runtime.inferred_workload import identity_of, workload_of
from keelwatch.enrich.runtime.runtimes import Runtimes

__all__ = ["ContainerDetails", "Runtimes", "identity_of", "workload_of"]
