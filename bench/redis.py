"""A server that does little but system calls: redis in a container, loaded by redis-benchmark on the host."""

from __future__ import annotations

import csv
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench.machine import cpu_seconds
from bench.modes import MODES, alternate
from bench.node import Node
from bench.report import Figure, compared, median
from bench.settings import Settings
from bench.world import bench_image, containers, run_pod
from lab.images import Image
from lab.stack import free_port

IMAGE = "localhost/keelwatch/redis:1"
SERVER, CLIENT = "redis-server", "redis-benchmark"
CLIENTS = "20"
CPU = "cpu"
START_SECONDS = 20.0


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    port = str(free_port())
    with Node() as node, containers(_image()) as kubelet:
        options = ["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]
        pid = run_pod(kubelet, "redis", f"/usr/bin/{SERVER}", *options, image=IMAGE).pid()
        _wait(port)

        def measure() -> dict[str, float]:
            before = cpu_seconds(pid)
            rates = _benchmark(port, settings.redis_requests)
            return {**rates, CPU: (cpu_seconds(pid) - before) * 1e6 / (2 * settings.redis_requests)}

        found = alternate(node, settings.redis_rounds, measure)
    figures: list[Figure] = []
    for test in ("GET", "SET"):
        rate = {mode: median([at[test] for at in found[mode]]) for mode in MODES}
        figures += [
            Figure(f"{test}, nothing attached", rate["off"], "requests/s"),
            compared(f"{test}, empty sys_exit", rate["floor"], "requests/s", "nothing", rate["off"]),
            compared(f"{test}, watched", rate["on"], "requests/s", "nothing", rate["off"]),
        ]
    used = {mode: median([at[CPU] for at in found[mode]]) for mode in MODES}
    return [
        *figures,
        *_kept(found),
        Figure("server CPU per request, nothing attached", used["off"], "µs"),
        compared("server CPU per request, empty sys_exit", used["floor"], "µs", "nothing", used["off"]),
        compared("server CPU per request, watched", used["on"], "µs", "nothing", used["off"]),
    ]


def _kept(found: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """What is left of both together: the median of each round's own ratio."""
    sums = {mode: [at["GET"] + at["SET"] for at in found[mode]] for mode in MODES}
    return [
        Figure(
            f"throughput kept, {name}",
            median([a / b for a, b in zip(sums[mode], sums["off"], strict=True)]),
            "of nothing attached",
        )
        for mode, name in (("floor", "empty sys_exit"), ("on", "watched"))
    ]


def _image() -> Image:
    """The bench image with this machine's redis-server and the libraries it needs."""
    image = bench_image(IMAGE)
    program = shutil.which(SERVER)
    if not program or not shutil.which(CLIENT):
        raise FileNotFoundError("redis is not installed: apt-get install redis-server redis-tools")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    image.files[f"usr/bin/{SERVER}"] = (Path(program).read_bytes(), 0o755)
    for library in re.findall(r"(/\S+) \(0x", listed):
        image.files[library.lstrip("/")] = (Path(library).read_bytes(), 0o755)
    return image


def _benchmark(port: str, requests: int) -> dict[str, float]:
    """Requests per second by test."""
    options = ["-p", port, "-t", "get,set", "-c", CLIENTS, "-n", str(requests), "--csv"]
    said = subprocess.run([CLIENT, *options], capture_output=True, text=True, check=True).stdout
    return {row["test"]: float(row["rps"]) for row in csv.DictReader(said.splitlines())}


def _wait(port: str) -> None:
    """Wait until the server answers; redis-benchmark itself would try for ever."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1.0).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
