"""What a log file's path tells; for the kubelet it is `<namespace>_<pod>_<uid>/<container>/<restart>.log`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from keelwatch.model.identity import Identity

LOG = re.compile(r"(\d{1,9})\.log")
FIELDS = ("namespace", "pod", "pod_uid", "container", "restart")


def identity_of(path: Path, host: Identity) -> Identity:
    """Whose log it is, as far as its path tells; the owning workload stays open. `host` for other paths."""
    names, log = path.parent.parent.name.split("_"), LOG.match(path.name)
    if len(names) != 3 or log is None:
        return host
    namespace, pod, uid = names
    return replace(
        host,
        namespace=namespace,
        pod=pod,
        pod_uid=uid,
        container=path.parent.name,
        restart=int(log[1]),
        identity_source=" ".join([host.identity_source, *(f"{name}=path" for name in FIELDS)]),
    )
