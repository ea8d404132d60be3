"""What one read-only open and close costs: with nothing attached, with the floor, with the sensor.

In a container and on the host. Nearly all opens of a machine are such ones, and none is reported.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.modes import MODES, alternate
from bench.node import Node
from bench.report import Figure, compared, median
from bench.settings import Settings
from bench.world import containers, host_load, load, run_pod

PATH = "/etc/passwd"


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    count = str(settings.opens)
    with Node() as node, containers() as kubelet:
        pod = run_pod(kubelet, "reader")
        program = host_load(node.directory)

        def measure() -> dict[str, float]:
            inside = int(load(pod, "opens", count, PATH)) / settings.opens
            return {"in a container": inside, "on the host": _on_host(program, count) / settings.opens}

        found = alternate(node, settings.open_rounds, measure)
    figures: list[Figure] = []
    for place in ("in a container", "on the host"):
        figures += _figures(place, {mode: median([at[place] for at in found[mode]]) for mode in MODES})
    return figures


def _on_host(program: Path, count: str) -> int:
    return int(subprocess.run([program, "opens", count, PATH], capture_output=True, check=True).stdout)


def _figures(place: str, ns: dict[str, float]) -> list[Figure]:
    figure: Callable[..., Figure] = compared
    return [
        Figure(f"open+close {place}, nothing attached", ns["off"], "ns"),
        figure(f"open+close {place}, empty sys_exit", ns["floor"], "ns", "nothing", ns["off"]),
        figure(f"open+close {place}, watched", ns["on"], "ns", "nothing", ns["off"]),
        figure(
            f"added {place} by the sensor",
            ns["on"] - ns["off"],
            "ns",
            "the floor adds",
            ns["floor"] - ns["off"],
        ),
    ]
