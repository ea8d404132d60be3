"""A program's everyday writes to a volume are thinned, those to the container's own files are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import ContainerSpec, Kubelet, PodSpec
from lab.images import WORKLOAD_IMAGE
from lab.pod import Mount, random_name
from lab.stack import Record, Stack
from tests.stack_support import eventually, settle

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

FILES = 60


def test_writes_to_a_volume_are_few_records_and_say_how_many_they_stand_for(
    stack: Stack, module_kubelet: Kubelet, tmp_path: Path
) -> None:
    namespace = f"data-{random_name(5)}"
    spec = ContainerSpec(
        "db", WORKLOAD_IMAGE, command=("toolbox", "sleep", "1000"), mounts=(Mount(tmp_path, "/data"),)
    )
    pod = module_kubelet.run_pod(PodSpec(namespace, f"db-{random_name(5)}", (spec,), {"app": "db"}))
    writes = "i=0; while [ $i -lt {n} ]; do echo x > {at}/$i; i=$((i+1)); done"
    pod.shell(writes.format(n=FILES, at="/data"))
    pod.shell("busybox mkdir /own; " + writes.format(n=FILES, at="/own"))
    settle(stack, module_kubelet)

    def opened(folder: str) -> list[Record]:
        events = stack.records("events", namespace=namespace, kind="open")
        return [event for event in events if event["path"].startswith(f"{folder}/")]

    eventually(lambda: len(opened("/own")) >= FILES)
    assert len(opened("/own")) == FILES
    assert 0 < len(opened("/data")) <= 10
    assert all((tmp_path / str(n)).exists() for n in range(FILES))
