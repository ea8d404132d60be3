"""What tests of the whole stack share: agents beside the stack's own, waiting, truth from the containers."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from keelwatch.capture.ring import problems
from lab import ContainerSpec, Deployment, Kubelet, Pod, attack, missing_for_containers, sleeping_pod
from lab.patience import PATIENCE
from lab.pod import random_name
from lab.stack import Record, Stack

SECONDS = 15.0 * PATIENCE
PROGRAM = (sys.executable, "-m", "keelwatch.cli.main")


def missing_for_stack() -> str:
    """What keeps sensor, containers or both from running here, or ""."""
    return missing_for_containers() or "; ".join(problems())


def keelwatch(*arguments: str, timeout: float = 60, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    environment = {**os.environ, "NO_COLOR": "1", "KEELWATCH_CONFIG": "/nonexistent"}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout, env=environment, **more
    )


class ExtraAgent:
    """An agent of its own at the hub of a stack; its records carry a node name of its own."""

    def __init__(self, stack: Stack, *options: str) -> None:
        self.stack = stack
        self.node = f"node-{random_name(6)}"
        self.directory = Path(tempfile.mkdtemp(prefix="keelwatch-agent-"))
        self.log = self.directory / "log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ExtraAgent:
        token = self.stack.directory / "data" / "agent.token"
        where = ["--hub", self.stack.address, "--token-file", str(token), "--metrics-listen", ""]
        own = ["--node", self.node, "--data", str(self.directory / "data")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*PROGRAM, "agent", *where, *own, *self._options], stdout=log, stderr=log
            )
        self.wait_for(lambda: self.lifecycle("agent_started"), "the agent did not start")
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def lifecycle(self, kind: str) -> list[Record]:
        return [row for row in self.records("lifecycle") if row["kind"] == kind]

    def records(self, table: str, **parameters: Any) -> list[Record]:
        return self.stack.records(table, node=self.node, **parameters)

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{what}:\n{self.log.read_text(errors='replace')[-3000:]}")


def eventually(condition: Callable[[], Any], what: str = "it did not come", seconds: float = SECONDS) -> Any:
    """Poll until `condition` returns something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.1)


def settle(stack: Stack, kubelet: Kubelet, node: str = "") -> None:
    """Return when everything that happened before this call has been through detection.

    Events go through one pipeline in order, those whose program is examined too: when the alert for
    a program run now is stored, what came before is stored.
    """
    pod = kubelet.run_pod(sleeping_pod())
    where = {"node": node} if node else {}
    pod.run("toolbox", "memfd", "/usr/local/bin/toolbox", random_name(8), "sleep", "0")
    eventually(
        lambda: stack.records("alerts", namespace=pod.namespace, **where), "the last alert did not come"
    )
    pod.delete(grace=0, linger=0)


def read_in(pod: Pod, path: str, container: str | None = None) -> bytes:
    """A file as the container sees it, read from outside."""
    return Path(f"/proc/{pod.pid(container)}/root{path}").read_bytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def generator(prefix: str, lines: int, *options: str, name: str = "app") -> ContainerSpec:
    """A container that writes `lines` numbered lines and then sleeps."""
    return ContainerSpec(name, command=("loggen", "-n", str(lines), "-p", prefix, *options))


def numbers(rows: Iterable[Record], prefix: str) -> Counter[int]:
    """How often each of a generator's lines is there."""
    found = (row["message"].split(" ", 2) for row in rows)
    return Counter(int(words[1]) for words in found if words[0] == prefix)


def each_once(rows: Iterable[Record], prefix: str, lines: int) -> bool:
    """Whether lines 1 to `lines` are there, each once."""
    return numbers(rows, prefix) == Counter(range(1, lines + 1))


def what_is_wrong(rows: Iterable[Record], prefix: str, lines: int) -> str:
    """The lines that are missing, doubled or unknown, for a test's message."""
    found = numbers(rows, prefix)
    missing = [n for n in range(1, lines + 1) if n not in found]
    doubled = [n for n, count in found.items() if count > 1]
    unknown = [n for n in found if not 1 <= n <= lines]
    return (
        f"{prefix}: {sum(found.values())} of {lines} lines; missing {len(missing)}: {missing[:10]}, "
        f"doubled {len(doubled)}: {doubled[:10]}, unknown {unknown[:10]}"
    )


def random_deployment(replicas: int = 2, *containers: ContainerSpec) -> Deployment:
    return Deployment(f"ns-{random_name(6)}", f"app-{random_name(5)}", replicas, containers)


def step_names() -> list[str]:
    return [step.name for step in attack.steps()]
