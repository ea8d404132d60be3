"""Traffic of a real agent, recorded into its spool while no hub listens, to be played as that of others.

In one recording a container logs, another one starts programs and one is attacked: all tables have rows.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zstandard

from bench.world import containers, run_pod
from keelwatch.model.batch import BatchHeader, decode_frames
from keelwatch.model.identity import Identity
from keelwatch.ship.lanes import LANES
from keelwatch.ship.spool import Spool
from lab import attack
from lab.kubelet import Kubelet
from lab.stack import free_port

NODE = "bench-0000"
LOGGERS = 5
LINES_PER_SECOND = 10
PROGRAMS_PER_SECOND = 2
START_SECONDS = 60.0
EVERYTHING = 1 << 30


@dataclass(frozen=True)
class Batch:
    """One frozen batch: its header as recorded, and its rows as bytes."""

    header: BatchHeader
    rows: bytes


@dataclass(frozen=True)
class Recording:
    """`batches` in their order, `seconds` of a node's life, the ids of the `containers` that ran."""

    batches: tuple[Batch, ...]
    seconds: float
    containers: tuple[str, ...]

    def rows(self, table: str) -> int:
        """How many rows of a table it holds."""
        return sum(batch.header.rows for batch in self.batches if batch.header.table == table)


def record(seconds: float) -> Recording:
    """Run an agent without a hub beside real containers for so long; return what it spooled."""
    with tempfile.TemporaryDirectory(prefix="keelwatch-recording-") as folder, containers() as kubelet:
        data = Path(folder)
        with _agent(data):
            names = _live(kubelet, seconds)
        return Recording(tuple(_spooled(data)), seconds, tuple(names))


@contextmanager
def _agent(data: Path) -> Iterator[None]:
    token = data / "agent.token"
    token.write_text("no hub will ever read this\n")
    none = data / "pods"  # the logs of containers that ended long ago are not of this recording
    none.mkdir()
    own = ("--node", NODE, "--data", data, "--log-root", none, "--metrics-listen", f"127.0.0.1:{free_port()}")
    hub = ("--hub", f"http://127.0.0.1:{free_port()}", "--token-file", token)
    command: list[str | Path] = [sys.executable, "-m", "keelwatch.cli.main", "agent", *own, *hub]
    with (data / "log").open("wb") as log:
        agent = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(data / "log")
        yield
    finally:
        agent.terminate()
        agent.wait(60)


def _wait_for(log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while b" is up: " not in log.read_bytes():
        if time.monotonic() > end:
            raise TimeoutError(f"the agent did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _live(kubelet: Kubelet, seconds: float) -> list[str]:
    """A node's life: pods that log, one that starts programs, and an attack in the middle."""
    end = time.monotonic() + seconds
    speed = ("loggen", "-r", str(LINES_PER_SECOND), "-p", "order")
    pods = [run_pod(kubelet, f"shop-{index}", *speed) for index in range(LOGGERS)]
    pause = 1 / PROGRAMS_PER_SECOND
    worker = ("sh", "-c", f"while :; do busybox true; busybox touch /tmp/x; busybox sleep {pause}; done")
    pods.append(run_pod(kubelet, "worker", *worker))
    victim = run_pod(kubelet, "victim")
    time.sleep(seconds / 3)
    attack.run(victim)
    time.sleep(max(0.0, end - time.monotonic()))
    return [pod.container.id for pod in (*pods, victim)]


def _spooled(data: Path) -> Iterator[Batch]:
    spool = Spool(data / "spool", Identity(cluster="local", node=NODE))
    unpack = zstandard.ZstdDecompressor()
    try:
        for lane in LANES:
            for header, body in decode_frames(b"".join(spool.pending(EVERYTHING, lane))):
                yield Batch(header, unpack.decompress(body, max_output_size=EVERYTHING))
    finally:
        spool.close()
