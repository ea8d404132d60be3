"""An alert that is made while a gigabyte of logs waits in the spool for a hub that is away.

The clock runs from the moment at which the hub is ready again. The hub's API is asked for the alert twenty
times a second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import urllib3

from bench.alert_delay import TRIALS
from bench.gen_logs import sources
from bench.log_path import SINCE, UNTIL, append, begin, generated, stored_lines
from bench.node import Node
from bench.report import Figure, compared
from bench.settings import Settings
from bench.world import LOAD, containers, run_pod
from lab import Pod
from lab.pod import random_name

GIVE_UP_SECONDS = 300.0
SETTLED_SECONDS = 3.0
POLL_SECONDS = 0.05
FEW = 1 << 20


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    order, truth = generated(settings.log_bytes)
    folders = [source.folder for source in sources(order.streams)]
    node = Node()
    root = node.directory / "pods"
    logs = [begin(root / folder / order.file) for folder in folders]
    with node, containers() as kubelet, node.agent("--log-root", str(root)):
        pod = run_pod(kubelet, "victim")
        node.wait_for(lambda: stored_lines(node, len(logs)) >= len(logs), 60.0, "logs are not followed")
        node.stop_hub()
        append([order.out / folder / order.file for folder in folders], logs)
        _settle(node.directory / "data" / "agent" / "spool")
        _attack(pod)
        time.sleep(1.0)
        node.start()
        began = time.monotonic()
        alert = _seconds_until(lambda: _alerts(node, pod) > 0, began)
        everything = _seconds_until(lambda: _stored(node) >= truth.lines + len(logs), began, 0.5)
    note = f"{truth.bytes / 1e6:.0f} MB of logs waited"
    return [
        compared("hub's return to alert seen", alert, "s", "to the last log line", everything),
        Figure("hub's return to last log line stored", everything, "s", note),
    ]


def _settle(spool: Path) -> None:
    """Wait until the agent has put all logs into its spool; a few events always come."""
    size, since = -FEW, time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.2)
        if (now := sum(path.stat().st_size for path in spool.glob("*.segment"))) > size + FEW:
            size, since = now, time.monotonic()


def _attack(pod: Pod) -> None:
    pod.run("/bin/sh", "-c", TRIALS, LOAD, random_name(10), timeout=60)


def _alerts(node: Node, pod: Pod) -> int:
    return sum(alert["kind"] == "exec" for alert in node.records("alerts", container_id=pod.container.id))


def _stored(node: Node) -> int:
    return sum(node.get("/histogram", since=SINCE, until=UNTIL).json()["counts"])


def _seconds_until(condition: Callable[[], bool], began: float, pause: float = POLL_SECONDS) -> float:
    while time.monotonic() - began < GIVE_UP_SECONDS:
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            if condition():
                return time.monotonic() - began
        time.sleep(pause)
    raise RuntimeError(f"not within {GIVE_UP_SECONDS:.0f} s")
