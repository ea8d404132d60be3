"""Many programs, started one after the other in a container: whether each is recorded, and at what cost."""

from __future__ import annotations

import time

from bench.machine import cpu_seconds
from bench.node import Node
from bench.report import Figure, compared, median
from bench.settings import Settings
from bench.world import containers, load, run_pod
from lab import Kubelet, Pod

PROGRAM = "/bin/true"
QUIET_SECONDS = 5.0
"""Without a new record for so long, no more are coming."""


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    off: list[float] = []
    on: list[float] = []
    cpu: list[float] = []
    lost = 0
    with Node() as node, containers() as kubelet:
        for _ in range(settings.exec_rounds):
            off.append(_spawn(_pod(kubelet), settings.execs))
            with node.agent() as agent:
                pod = _pod(kubelet)
                before = cpu_seconds(agent)
                on.append(_spawn(pod, settings.execs))
                lost += settings.execs - _recorded(node, pod, settings.execs)
                cpu.append(cpu_seconds(agent) - before)
    note = f"{settings.exec_rounds} times {settings.execs} execs"
    each = 1e6 / settings.execs
    return [
        Figure("execs lost", lost, "events", note, must_be=0),
        compared("one spawn, watched", median(on) * each, "µs", "unwatched", median(off) * each),
        Figure("agent CPU per flood", median(cpu), "s", note),
        compared("agent CPU per exec", median(cpu) * each, "µs", "one spawn, unwatched", median(off) * each),
    ]


def _pod(kubelet: Kubelet) -> Pod:
    return run_pod(kubelet, "flood")


def _spawn(pod: Pod, count: int) -> float:
    return int(load(pod, "spawns", str(count), PROGRAM)) / 1e9


def _recorded(node: Node, pod: Pod, count: int) -> int:
    """How many different runs of the program the store has."""
    found, changed = 0, time.monotonic()
    while found < count and time.monotonic() - changed < QUIET_SECONDS:
        time.sleep(0.5)
        rows = node.records("events", kind="exec", container_id=pod.container.id, tail=100_000)
        now = len({(row["pid"], row["time"]) for row in rows if row["cmdline"] == PROGRAM})
        if now != found:
            found, changed = now, time.monotonic()
    return found
