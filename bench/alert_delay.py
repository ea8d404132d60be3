"""From the execve of a new binary in a container to its alert in the answer of the hub's API."""

from __future__ import annotations

import contextlib
import threading
import time

import urllib3

from bench.node import Node
from bench.report import Figure, median, quantile
from bench.settings import Settings
from bench.world import LOAD, containers, run_pod
from lab import Pod
from lab.pod import random_name

GIVE_UP_SECONDS = 15.0
# Each trial is a program at a path that nobody has seen; `load timed` prints the time and becomes it.
TRIALS = """
for name in "$@"; do
    cp /usr/local/bin/toolbox /tmp/$name
    load timed /tmp/$name sleep 0
    sleep 0.1
done
"""


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    with Node() as node, containers() as kubelet, node.agent():
        pod = run_pod(kubelet, "victim")
        seen = _Seen(node, pod)
        begun = _trials(pod, settings.alert_trials)
        seen.wait_for(set(begun))
        delays = [(seen.at[path] - at) / 1e6 for path, at in begun.items() if path in seen.at]
    if not delays:
        raise RuntimeError(f"none of {len(begun)} alerts arrived within {GIVE_UP_SECONDS:.0f} s")
    lost = len(begun) - len(delays)
    note = f"{len(begun)} trials"
    return [
        Figure("exec to alert, p50", median(delays), "ms", note),
        Figure("exec to alert, p99", quantile(delays, 0.99), "ms", note),
        Figure("exec to alert, max", max(delays), "ms", note),
        Figure("alerts lost", lost, "alerts", note, must_be=0),
    ]


def _trials(pod: Pod, count: int) -> dict[str, int]:
    """Run the trials; return when each path was executed (ns since the epoch, by the program's clock)."""
    names = [random_name(10) for _ in range(count)]
    said = pod.run("/bin/sh", "-c", TRIALS, LOAD, *names, timeout=600)
    begun = {path: int(at) for at, path in (line.split() for line in said.splitlines())}
    if len(begun) != count:
        raise RuntimeError(f"{len(begun)} of {count} programs were run")
    return begun


class _Seen:
    """Follows the alerts of a pod, and notes when that of each path arrived."""

    def __init__(self, node: Node, pod: Pod) -> None:
        self.at: dict[str, int] = {}
        self._node = node
        self._pod = pod
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        time.sleep(1.0)

    def wait_for(self, paths: set[str]) -> None:
        """Wait until all have been seen, but not for ever."""
        end = time.monotonic() + GIVE_UP_SECONDS
        while paths - self.at.keys() and time.monotonic() < end:
            time.sleep(0.05)

    def _follow(self) -> None:
        # The hub's end is the stream's end.
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            for alert in self._node.follow("alerts", container_id=self._pod.container.id):
                if alert["kind"] == "exec":
                    self.at.setdefault(alert["path"], time.time_ns())
