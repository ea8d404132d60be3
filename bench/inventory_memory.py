"""What the inventory holds in memory: 5,000 nodes and 100,000 pods, as the API server would tell them.

    python -m bench.inventory_memory [--pods 100000] [--nodes 5000]

Prints the resident memory before and after, and the time that one version of a pod takes.
"""

from __future__ import annotations

import argparse
import gc
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from keelwatch.inventory.cluster import Cluster
from keelwatch.inventory.feed import Feed
from keelwatch.inventory.parse import parse
from keelwatch.inventory.teams import TeamRules

PODS_OF_WORKLOAD = 20


def resident() -> int:
    """Resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def ref(kind: str, name: str, uid: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "uid": uid, "controller": True}]


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", "uid": str(uuid.uuid4()), "resourceVersion": "12345", **more}


def cluster_objects(pods: int, nodes: int) -> Iterator[tuple[str, bytes]]:
    """Kind and JSON of every object, owners first."""
    for number in range(nodes):
        info = {"operatingSystem": "linux", "kernelVersion": "6.18", "kubeletVersion": "v1.34.0"}
        yield "Node", orjson.dumps({"metadata": meta(f"node-{number}"), "status": {"nodeInfo": info}})
    for number in range(pods // PODS_OF_WORKLOAD):
        name = f"workload-{number}"
        deployment = meta(name, labels={"app.kubernetes.io/name": name, "team": f"team-{number % 50}"})
        yield "Deployment", orjson.dumps({"metadata": deployment})
        labels = {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/part-of": "shop",
            "pod-template-hash": "5d9c",
        }
        replica_set = meta(
            f"{name}-5d9c", labels=labels, ownerReferences=ref("Deployment", name, deployment["uid"])
        )
        yield "ReplicaSet", orjson.dumps({"metadata": replica_set})
        owner = ref("ReplicaSet", f"{name}-5d9c", replica_set["uid"])
        for index in range(PODS_OF_WORKLOAD):
            yield "Pod", orjson.dumps(pod(name, index, nodes, labels, owner))


def pod(
    name: str, index: int, nodes: int, labels: dict[str, str], owner: list[dict[str, Any]]
) -> dict[str, Any]:
    """A pod with two containers that run."""
    digest = f"registry.test/{name}@sha256:{'ab' * 32}"
    names = ("app", "proxy")
    return {
        "metadata": meta(f"{name}-5d9c-{index:05}", labels=labels, ownerReferences=owner),
        "spec": {
            "nodeName": f"node-{hash((name, index)) % nodes}",
            "containers": [{"name": one, "image": f"registry.test/{name}:1"} for one in names],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": one,
                    "imageID": digest,
                    "containerID": f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}",
                    "state": {"running": {"startedAt": "2026-01-15T12:00:00Z"}},
                }
                for one in names
            ],
        },
    }


def main() -> None:
    """Fill a cluster and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=5_000)
    asked = parser.parse_args()
    cluster, feed = Cluster(TeamRules()), Feed()
    gc.collect()
    before, spent, count = resident(), 0.0, 0
    for kind, text in cluster_objects(asked.pods, asked.nodes):
        began = time.perf_counter()
        one = parse(kind, orjson.loads(text), "team")
        assert one is not None
        cluster.put(one)
        if kind == "Pod":
            feed.put(one.node, one.uid)
        spent += time.perf_counter() - began
        count += 1
    gc.collect()
    used = resident() - before
    print(
        f"{asked.nodes} nodes, {asked.pods} pods: {used / 1e6:.0f} MB ({used / asked.pods:.0f} bytes a pod)"
    )
    print(f"{count} objects parsed and taken: {spent / count * 1e6:.0f} µs each")


if __name__ == "__main__":
    main()
