"""A gigabyte of logs of 20 containers, from their files into the store: how fast, and whether all is there.

The files lie as the kubelet lays them, under a log root of their own, and grow as a runtime writes them:
in turn, a megabyte each. The clock runs from the first byte written to the last line stored. Afterwards
every line of the store is compared with the files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.gen_logs import Order, Truth, generate, sources
from bench.machine import cpu_seconds, memory, reset_peak
from bench.node import Node
from bench.report import Figure
from bench.settings import Settings

CACHE = Path(__file__).parent.parent / ".build" / "bench"
SINCE, UNTIL = "2026-11-22T08:00:00Z", "2026-11-23T09:00:00Z"
"""The day of the generated lines: other containers of the machine may be logging now."""
HOURS = 15.0
"""From 8 o'clock on: no stream crosses midnight, where in this haste each would come at another moment,
and the store keeps days apart."""
SLICE = 1 << 20
MIB = 2**20
GIVE_UP_SECONDS = 60.0
POLL_SECONDS = 0.25


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    order, truth = generated(settings.log_bytes)
    folders = [source.folder for source in sources(order.streams)]
    node = Node()
    node.keep()
    root = node.directory / "pods"
    logs = [begin(root / folder / order.file) for folder in folders]
    with node, node.agent("--log-root", str(root)) as agent:
        node.wait_for(
            lambda: stored_lines(node, len(logs)) >= len(logs), GIVE_UP_SECONDS, "logs are not followed"
        )
        pids = {"agent": agent, "hub": node.hub_pid}
        for pid in pids.values():
            reset_peak(pid)
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began = time.monotonic()
        append([order.out / folder / order.file for folder in folders], logs)
        written = time.monotonic() - began
        took = _wait_until_stored(node, truth.lines + len(logs), began)
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        peak = {name: memory(pid, "VmHWM") / MIB for name, pid in pids.items()}
    compared = _compare(node, dict(zip(folders, logs, strict=True)))
    node.remove()
    megabytes = truth.bytes / 1e6
    note = f"{megabytes:.0f} MB, {truth.lines} lines, {len(logs)} containers"
    return [
        Figure("from file to store", megabytes / took, "MB/s", note),
        Figure("written by the generator in", written, "s", "within the time above"),
        *(Figure(f"{name} CPU", seconds, "s", note) for name, seconds in used.items()),
        Figure("MB per CPU second, both together", megabytes / sum(used.values()), "MB/s", note),
        *(Figure(f"{name} peak memory", size, "MiB", note) for name, size in peak.items()),
        Figure(
            "lines lost or doubled", compared["lines"] - truth.lines - len(logs), "lines", note, must_be=0
        ),
        Figure("containers whose lines differ", compared["different"], "containers", note, must_be=0),
        Figure("raw ÷ disk", truth.bytes / compared["bytes"], "times", "bytes on disk, all columns"),
    ]


def generated(size: int) -> tuple[Order, Truth]:
    """The logs, made once for each size."""
    order = replace(Order(CACHE / f"logs-{size}-{HOURS:.0f}h"), bytes=size, hours=HOURS)
    if order.truth.exists():
        return order, Truth(**json.loads(order.truth.read_text()))
    CACHE.mkdir(parents=True, exist_ok=True)
    return order, generate(order)


def begin(log: Path) -> Path:
    """A log with one line: once it is stored, the agent follows the file."""
    log.parent.mkdir(parents=True)
    log.write_bytes(f"{SINCE[:-1]}.000000001Z stdout F begin\n".encode())
    return log


def append(files: Sequence[Path], logs: Sequence[Path]) -> None:
    """Append each file to its log, in turn, a slice each; the slices end anywhere, as writes do."""
    pairs = [(os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY)) for a, b in zip(files, logs, strict=True)]
    for _, log in pairs:
        os.lseek(log, 0, os.SEEK_END)
    open_pairs = list(pairs)
    while open_pairs:
        open_pairs = [(file, log) for file, log in open_pairs if os.sendfile(log, file, None, SLICE)]
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


def _wait_until_stored(node: Node, lines: int, began: float) -> float:
    """Seconds from `began` until so many lines are stored; stops waiting when they do not grow."""
    stored, changed = 0, time.monotonic()
    while stored < lines and time.monotonic() - changed < GIVE_UP_SECONDS:
        time.sleep(POLL_SECONDS)
        now = stored_lines(node, lines)
        if now != stored:
            stored, changed = now, time.monotonic()
    if not stored:
        raise RuntimeError(f"nothing was stored within {GIVE_UP_SECONDS:.0f} s; see {node.log}")
    return changed - began


def stored_lines(node: Node, lines: int) -> int:
    """Rows of the table; once they may be all of ours, only those of our day, which takes longer."""
    everything = int(json.loads(node.get("/status").data)["store"]["rows"].get("logs", 0))
    if everything < lines:
        return everything
    return sum(json.loads(node.get("/histogram", since=SINCE, until=UNTIL).data)["counts"])


def _compare(node: Node, files: dict[str, Path]) -> dict[str, float]:
    """Compare the store that the hub has left with the files; in a process of its own, for its memory."""
    store = node.directory / "data" / "hub" / "store"
    wanted = json.dumps({name: str(path) for name, path in files.items()})
    command = [sys.executable, "-m", "bench.compare_logs", str(store)]
    said = subprocess.run(command, input=wanted, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said)
    return found
