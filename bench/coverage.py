"""Coverage of a large cluster: a store with what agents and the API server told of it, asked once.

Every container is known from both sides; a tenth of the nodes had an outage, a tenth counted losses, and a
fifth as many pods again are history that the question is not about. Rows are made by the hub's and the
agent's own code. One process writes the store, another answers: its memory is the answer's.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import zstandard

from bench.machine import memory, reset_peak
from bench.report import Figure
from bench.settings import Settings
from keelwatch.agent.records import lifecycle_row
from keelwatch.evidence.report import Coverage, Policy
from keelwatch.ingest.unpack import day_start
from keelwatch.inventory.objects import Container, KubeObject
from keelwatch.inventory.rows import Resolved, to_row
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import Insertion, Source
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

MIB = 2**20
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
PODS_OF_A_NODE = 40
HISTORY = 5  # one pod more in so many, which ended before the time asked about
FEW = 10  # one node in so many had an outage, the next one losses
NAMES = ("app", "proxy")
GROUP = 100
Row = dict[str, Any]


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    pods = settings.covered_containers // len(NAMES)
    with tempfile.TemporaryDirectory(prefix="keelwatch-coverage-") as folder:
        _child("fill", folder, str(pods))
        found = _child("ask", folder)
    count, seconds = found["containers"], found["seconds"]
    note = f"{count} containers, {found['nodes']} nodes, 24 hours"
    missed = settings.covered_containers - count
    return [
        Figure("containers per second", count / seconds, "containers/s", note),
        Figure("one answer", seconds, "s", note),
        Figure("memory before it", found["before"] / MIB, "MiB", "the store is open, nothing was asked"),
        Figure("memory at its peak", found["peak"] / MIB, "MiB", note),
        Figure("containers that the answer lacks", missed, "containers", note, must_be=0),
    ]


def fill(folder: Path, pods: int) -> None:
    """Write a store."""
    database, now = open_store(folder), time.time_ns()
    nodes = -(-pods // PODS_OF_A_NODE)
    groups = [range(first, min(first + GROUP, nodes)) for first in range(0, nodes, GROUP)]
    for group in groups:
        numbers = [number for node in group for number in _pods_of(node, pods)]
        past = [number + pods for number in numbers if number % HISTORY == 0]
        objects = [_node(node, now) for node in group]
        objects += [_pod(number, pods, now) for number in (*numbers, *past)]
        _write(database, folder, "objects", {f"hub-{group[0]}": objects})
        rows = {node: list(_agents(node, pods, now)) for node in group}
        _write(database, folder, "lifecycle", {node_name(node): rows[node] for node in group})
        lost = {node_name(node): list(_gaps(node, now)) for node in group}
        _write(database, folder, "gaps", {name: gaps for name, gaps in lost.items() if gaps})
    database.close()


def ask(folder: Path) -> Row:
    """Ask once; how long that took, and the memory."""
    database, now, own = open_store(folder), time.time(), os.getpid()
    heard = {row["spool"]: now for row in database.query("SELECT DISTINCT spool FROM lifecycle")}
    coverage = Coverage(database, lambda: heard, Policy())
    before = memory(own)
    reset_peak(own)
    began = time.perf_counter()
    report = coverage.report({"since": "24h"})
    seconds = time.perf_counter() - began
    peak = memory(own, "VmHWM")
    database.close()
    counts = {"containers": report["total"]["containers"], "nodes": report["node_count"]}
    return {**counts, "seconds": seconds, "before": before, "peak": peak}


def open_store(folder: Path) -> EmbeddedDatabase:
    """The store in a folder, made if it is missing."""
    database = EmbeddedDatabase(folder / "store")
    migrate(database, EMBEDDED)
    return database


def node_name(number: int) -> str:
    return f"node-{number:05d}"


def _pods_of(node: int, pods: int) -> range:
    return range(node * PODS_OF_A_NODE, min((node + 1) * PODS_OF_A_NODE, pods))


def _id(number: int, name: str) -> str:
    return hashlib.sha256(f"{number} {name}".encode()).hexdigest()


def _times(number: int, pods: int, now: int) -> tuple[int, int]:
    """When a pod's containers began and ended (0: they run); a third began within the time asked about."""
    if number >= pods:
        return now - 72 * HOUR, now - 48 * HOUR
    return now - (number % 36 + 1) * HOUR, 0


def _node(number: int, now: int) -> Row:
    detail = (("system", "linux"),)
    one = KubeObject("Node", "", node_name(number), f"node-{number}", created=now - 99 * HOUR, detail=detail)
    return to_row("added", now - 99 * HOUR, "bench", one, Resolved())


def _pod(number: int, pods: int, now: int) -> Row:
    began, ended = _times(number, pods, now)
    runs = tuple(
        Container(name, "registry.test/app:1", container_id=_id(number, name), started=began, finished=ended)
        for name in NAMES
    )
    one = KubeObject(
        "Pod", f"ns-{number % 50}", f"app-{number // 20}-{number}", f"pod-{number}", created=began,
        node=node_name(number % pods // PODS_OF_A_NODE), phase="Running", containers=runs,
    )  # fmt: skip
    owner = Resolved("Deployment", f"app-{number // 20}", f"team-{number % 7}")
    return to_row("deleted" if ended else "added", ended or began, "bench", one, owner)


def _agents(node: int, pods: int, now: int) -> Iterator[Row]:
    """What a node's agent told: its own start, and its containers' starts and ends."""
    host = Identity(cluster="bench", node=node_name(node))
    yield lifecycle_row(now - 90 * HOUR, "agent_started", host, {}, {})
    mine = _pods_of(node, pods)
    for number in (*mine, *(number + pods for number in mine if number % HISTORY == 0)):
        began, ended = _times(number, pods, now)
        for name in NAMES:
            whose = Identity(
                "bench", node_name(node), f"ns-{number % 50}", f"app-{number // 20}-{number}",
                f"pod-{number}", name, _id(number, name), image="registry.test/app:1",
            )  # fmt: skip
            detail = {"kind": "container", "log": "cri", "taken_up": began + SECOND, "log_files": 1}
            yield lifecycle_row(began, "container_started", whose, {}, detail)
            if node % FEW == 0 and not ended:  # it was found again after the outage
                yield lifecycle_row(began, "container_started", whose, {}, detail | {"taken_up": now - HOUR})
            if ended:
                yield lifecycle_row(ended, "container_ended", whose, {}, {})


def _gaps(node: int, now: int) -> Iterator[Row]:
    host = Identity(cluster="bench", node=node_name(node))
    if node % FEW == 0:
        begin, end = now - 2 * HOUR, now - 2 * HOUR + 60 * SECOND
        yield Gap("all", "agent_down", begin, end, 1, "intervals", host).columns()
    if node % FEW == 1:
        for minute in range(30):
            at = now - HOUR + minute * 60 * SECOND
            yield Gap("exec", "ring_full", at, at + SECOND, 9, "events", host).columns()


def _write(database: EmbeddedDatabase, folder: Path, table: str, spools: dict[str, list[Row]]) -> None:
    """One part of a batch for each spool."""
    if spools:
        day = datetime.now(UTC).date().isoformat()
        sources = list(_sources(folder, spools.items()))
        database.insert(Insertion(table, "rows", day, sources, day_start(day)))
        for source in sources:
            source.path.unlink()


def _sources(folder: Path, spools: Iterable[tuple[str, list[Row]]]) -> Iterator[Source]:
    for spool, rows in spools:
        path = folder / f"{spool}.zst"
        body = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path.write_bytes(zstandard.ZstdCompressor(level=1).compress(body))
        yield Source(path, spool, 1, len(rows), size=len(body))


def _child(what: str, *arguments: str) -> Row:
    """A store belongs to one process."""
    command = [sys.executable, "-m", "bench.coverage", what, *arguments]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: Row = json.loads(said or "{}")
    return found


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.stdout.write(json.dumps(ask(Path(sys.argv[2]))))
