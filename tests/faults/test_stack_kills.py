"""Agent and hub killed at random moments while containers write: every line is stored once.

Between a kill and the restart nobody watches; that interval has to be a gap, and nothing else may be.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from lab import ContainerSpec, Deployment, Kubelet, Pod
from lab.pod import random_name
from lab.stack import Record, Stack, free_port
from tests.stack_support import (
    PROGRAM,
    each_once,
    eventually,
    generator,
    missing_for_stack,
    what_is_wrong,
)

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]
RATE = 300
MOST_LINES = 90_000  # of a container: one question to the hub is answered with 100,000 at most


@pytest.fixture(autouse=True)
def needs_everything() -> None:
    if missing := missing_for_stack():
        pytest.skip(f"no whole stack here: {missing}")


class Node:
    """`keelwatch hub` and `keelwatch agent`, each killed and started again as the test likes."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="keelwatch-kills-"))
        self.address = f"127.0.0.1:{free_port()}"
        self.log = self.directory / "log"
        self.node = f"node-{random_name(6)}"
        self._http = urllib3.PoolManager(retries=False)
        self._since = 0  # when the agent was started last
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        tokens = ["--admin-token-file", self._at("login"), "--agent-token-file", self._at("token")]
        hub = ["--listen", self.address, "--data", self._at("hub"), *tokens]
        where = ["--hub", f"http://{self.address}", "--token-file", self._at("token")]
        agent = [*where, "--data", self._at("agent"), "--node", self.node, "--metrics-listen", ""]
        if name == "agent":
            self._since = time.time_ns()
        with self.log.open("ab") as log:
            arguments = [*PROGRAM, name, *(hub if name == "hub" else agent)]
            self._running[name] = subprocess.Popen(arguments, stdout=log, stderr=log)

    def kill(self, *names: str) -> None:
        for name in names:
            self._running[name].send_signal(signal.SIGKILL)
        for name in names:
            self._running[name].wait()

    def records(self, table: str, **parameters: Any) -> list[Record]:
        """Rows of a table; none while the hub does not answer."""
        token = (self.directory / "login").read_text().strip()
        with suppress(urllib3.exceptions.HTTPError):
            answer = self._http.request(
                "GET",
                f"http://{self.address}/api/v1/{table}",
                fields={"tail": "100000", **{name: str(value) for name, value in parameters.items()}},
                headers={"Authorization": f"Bearer {token}"},
            )
            if answer.status == 200:
                return [json.loads(line) for line in answer.data.splitlines() if line]
        return []

    def works(self) -> bool:
        """Whether the hub answers and has heard of the agent's last start."""
        rows = [row for row in self.records("lifecycle") if row["kind"] == "agent_started"]
        return any(nanoseconds(row["time"]) >= self._since for row in rows)

    def stop(self) -> None:
        for name in ("agent", "hub"):
            process = self._running[name]
            if process.poll() is None:
                process.terminate()
                process.wait(60)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _at(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    node.start("hub")
    eventually(lambda: (node.directory / "token").exists() and (node.directory / "login").exists())
    node.start("agent")
    eventually(node.works)
    yield node
    node.stop()


@pytest.mark.timeout(120)
def test_eight_kills_at_random_moments(node: Node, kubelet: Kubelet) -> None:
    kill_often(node, kubelet, kills=8)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_kills_at_random_moments(node: Node, kubelet: Kubelet) -> None:
    kill_often(node, kubelet, kills=200)


def kill_often(node: Node, kubelet: Kubelet, kills: int) -> None:
    """Half of the kills come while both run, the other half anywhere, most of those while they start."""
    seconds = kills * 3.0
    rate = min(RATE, int(MOST_LINES / seconds))
    lines = int(seconds * rate)
    pods = kubelet.run_deployment(busy(lines, rate))
    times = []
    for number in range(kills):
        if number % 2:
            eventually(node.works, "it does not work again after a kill", 60)
            if pods[0].containers["steady"].log.stat().st_size:  # the kubelet rotates no empty log
                pods[0].rotate_logs("steady")
        time.sleep(random.uniform(0.0, 1.0))
        victims = random.choice([("agent",), ("hub",), ("agent", "hub")])
        times += [time.time_ns()] if "agent" in victims else []
        node.kill(*victims)
        for name in reversed(victims):
            node.start(name)
        pods[number % 2].run("ls", "/")
    check_lines(node, pods, lines, seconds)
    check_gaps(node, times, pods[0].namespace)


def busy(lines: int, rate: int) -> Deployment:
    """Two instances: one container writes steadily, another in bursts, with lines that the runtime splits."""
    steady = generator("steady", lines, "-r", str(rate), "-s", "100", name="steady")
    bursts = "for n in 1 2 3 4; do loggen -n 500 -s 300 -p burst$n & sleep 3; kill $!; done; sleep 100000"
    return Deployment(
        f"ns-{random_name(6)}",
        f"app-{random_name(5)}",
        2,
        (
            steady,
            ContainerSpec("bursts", command=("/bin/sh", "-c", bursts)),
            generator("long", 20, "-r", "2", "-s", "40000", name="long"),
        ),
    )


def check_lines(node: Node, pods: list[Pod], lines: int, seconds: float) -> None:
    wanted = [("steady", "steady", lines), ("long", "long", 20)]
    wanted += [("bursts", f"burst{n}", 500) for n in (1, 2, 3, 4)]
    for pod in pods:
        for container, prefix, count in wanted:

            def rows(pod: Pod = pod, container: str = container) -> list[Record]:
                return node.records("logs", namespace=pod.namespace, pod=pod.name, container=container)

            def all_there(prefix: str = prefix, count: int = count) -> bool:
                return each_once(rows(), prefix, count)

            with suppress(AssertionError):
                eventually(all_there, seconds=seconds + 40)
            found = rows()
            assert each_once(found, prefix, count), what_is_wrong(found, prefix, count)


def check_gaps(node: Node, kills: list[int], namespace: str) -> None:
    """Each kill of the agent lies in a gap; nothing of these pods or the node was lost otherwise.

    Other containers of this machine may well end, with their logs, while the agent does not run.
    """

    def dated() -> bool:
        spans = [(nanoseconds(gap["from_time"]), nanoseconds(gap["to_time"])) for gap in down(node)]
        return all(any(start <= at <= end for start, end in spans) for at in kills)

    eventually(dated, "an outage of the agent is in no gap")
    ours = [gap for gap in node.records("gaps") if gap["namespace"] in ("", namespace)]
    others = [gap for gap in ours if gap["cause"] not in ("agent_down", "hub_down")]
    assert not others, json.dumps([{k: v for k, v in gap.items() if v} for gap in others], indent=1)


def down(node: Node) -> list[Record]:
    return [gap for gap in node.records("gaps") if gap["cause"] == "agent_down"]


def nanoseconds(time_text: str) -> int:
    whole, _, fraction = time_text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def test_up_restarts_what_was_killed_and_says_so(kubelet: Kubelet) -> None:
    """As a user runs it: first the agent, then both are killed; the story goes on without a hole."""
    with Stack() as stack:
        lines = 8 * RATE
        [pod] = kubelet.run_deployment(
            Deployment("ns-" + random_name(5), "app", 1, (generator("line", lines, "-r", str(RATE)),))
        )
        for names in (("agent",), ("agent", "hub")):
            before = starts(stack)
            for pid in [pid for name in names for pid in children(stack, name)]:
                os.kill(pid, signal.SIGKILL)
            eventually(lambda before=before: starts(stack) > before, "the agent was not started again")
        rows = eventually(lambda: complete(stack, pod, lines), "lines are missing")
        assert each_once(rows, "line", lines), what_is_wrong(rows, "line", lines)
        gaps = [gap for gap in stack.records("gaps") if gap["cause"] == "agent_down"]
        assert len(gaps) == 2
        assert "agent ended with status -9" in stack.log.read_text()
        pod.run("toolbox", "memfd", "/usr/local/bin/toolbox", "x", "sleep", "0")
        eventually(lambda: stack.records("alerts", namespace=pod.namespace), "it does not detect any more")


def starts(stack: Stack) -> int:
    with suppress(RuntimeError, OSError, urllib3.exceptions.HTTPError):
        return sum(row["kind"] == "agent_started" for row in stack.records("lifecycle"))
    return 0


def complete(stack: Stack, pod: Pod, lines: int) -> list[Record]:
    with suppress(RuntimeError, OSError, urllib3.exceptions.HTTPError):
        rows = stack.records("logs", namespace=pod.namespace, tail=100_000)
        return rows if len(rows) >= lines else []
    return []


def children(stack: Stack, name: str) -> list[int]:
    """The processes that `keelwatch up` runs under this name."""
    found = []
    parent = stack.pid
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if ppid == parent and name.encode() in words:
                found.append(int(entry.name))
    assert len(found) == 1, (name, found)
    return found
