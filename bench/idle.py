"""What it costs to watch nothing: CPU and memory with idle pods, and how long the sensor takes to load."""

from __future__ import annotations

import time

from bench.machine import cpu_seconds, memory
from bench.node import Node
from bench.report import Figure, median
from bench.settings import Settings
from bench.world import containers, run_pod
from keelwatch.capture.ring import Sensor, SensorConfig

MIB = 2**20
CALM_SECONDS = 5.0


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    loads = [_load() for _ in range(settings.loads)]
    with Node() as node, containers() as kubelet:
        for index in range(settings.idle_pods):
            run_pod(kubelet, f"idle-{index}")
        with node.agent() as agent:
            time.sleep(CALM_SECONDS)
            before = [cpu_seconds(pid) for pid in (agent, node.hub_pid)]
            time.sleep(settings.idle_seconds)
            used = [cpu_seconds(pid) - was for pid, was in zip((agent, node.hub_pid), before, strict=True)]
            sizes = [memory(pid) / MIB for pid in (agent, node.hub_pid)]
    note = f"{settings.idle_seconds:.0f} s, {settings.idle_pods} idle pods"
    part = 100 / settings.idle_seconds
    return [
        Figure("agent CPU when idle", used[0] * part, "% of a core", note),
        Figure("agent memory when idle", sizes[0], "MiB", note),
        Figure("hub CPU when idle", used[1] * part, "% of a core", note),
        Figure("hub memory when idle", sizes[1], "MiB", note),
        Figure("sensor load and attach", median(loads), "s", f"{settings.loads} times"),
    ]


def _load() -> float:
    begun = time.monotonic()
    sensor = Sensor.open(SensorConfig())
    took = time.monotonic() - begun
    sensor.close()
    return took
