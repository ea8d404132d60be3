"""The kubelet's own addresses, which the API server passes on for those who may use `nodes/proxy`.

Its ways into a pod are /exec/NAMESPACE/POD/CONTAINER, or with the pod's uid before the container
(kubelet, pkg/kubelet/server). A path is read as it reads it: `%65xec` is exec, `//run` is run.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple
from urllib.parse import unquote

INTO_CONTAINERS = frozenset({"exec", "run", "attach"})
INTO_PODS = INTO_CONTAINERS | {"portForward"}
MAX_NAME = 253


class Entry(NamedTuple):
    """Which way into which pod; `container` is "" where the address names none."""

    way: str
    namespace: str
    pod: str
    container: str = ""


def path_of(uri: str) -> list[str]:
    """What a request by way of `nodes/proxy` asks of the kubelet, in parts."""
    path = unquote(uri.partition("?")[0]).partition("/proxy/")[2]
    return posixpath.normpath(f"/{path}").strip("/").split("/")


def entry_of(uri: str) -> Entry | None:
    """The pod that such a request enters; None for one that enters none."""
    way, namespace, pod, *rest = (*path_of(uri), "", "", "")
    if not pod or way not in INTO_PODS:
        return None
    container = [part for part in rest if part][-1:] if way in INTO_CONTAINERS else []
    return Entry(way, namespace[:MAX_NAME], pod[:MAX_NAME], "".join(container)[:MAX_NAME])
