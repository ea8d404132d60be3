"""A node under measurement: a hub that stays up, and an agent that is switched on and off beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import urllib3

from lab.stack import Stack, free_port

START_SECONDS = 60.0
SETTLE_SECONDS = 1.0
"""Between a switch and the next measurement."""


class Node(Stack):
    """`keelwatch hub` and `keelwatch agent` as commands, on loopback, with the defaults of a user."""

    def __init__(self) -> None:
        # Given, so that it outlives the hub: what the hub stored is looked at from outside afterwards.
        super().__init__(directory=Path(tempfile.mkdtemp(prefix="keelwatch-bench-")))
        self._agent: subprocess.Popen[bytes] | None = None
        self._kept = False

    def start(self) -> None:
        """Start the hub, or the same hub again."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        tokens = ("--admin-token-file", data / "login.token", "--agent-token-file", data / "agent.token")
        address = self.address.partition("://")[2]
        self._process = self._run(
            "hub", "--data", data / "hub", "--listen", address, *tokens, *self.hub_options()
        )
        self.wait_for(self._ready, START_SECONDS, "the hub did not start")

    def hub_options(self) -> tuple[str, ...]:
        """What the hub is started with, besides."""
        return ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None and not self._kept:
            self.remove()

    def keep(self) -> None:
        """Leave the files when it ends; `remove` then deletes them."""
        self._kept = True

    def stop(self) -> None:
        """Stop both."""
        self.stop_agent()
        super().stop()

    def stop_hub(self) -> None:
        """Stop the hub alone; `start` brings it back."""
        super().stop()

    @contextmanager
    def agent(self, *options: str) -> Iterator[int]:
        """An agent that runs meanwhile; gives its process id."""
        yield self.start_agent(*options)
        self.stop_agent()

    def start_agent(self, *options: str) -> int:
        """Start the agent; return its process id when its record says that it watches."""
        data = self.directory / "data"
        where = ("--hub", self.address, "--data", data / "agent", "--token-file", data / "agent.token")
        before = self._starts()
        metrics = f"127.0.0.1:{free_port()}"
        self._agent = self._run("agent", *where, "--metrics-listen", metrics, *options)
        self.wait_for(lambda: self._starts() > before, START_SECONDS, "the agent did not start")
        time.sleep(SETTLE_SECONDS)
        return self._agent.pid

    def stop_agent(self) -> None:
        """Stop the agent, in order: what it holds is shipped."""
        if self._agent is not None and self._agent.poll() is None:
            self._agent.terminate()
            self._agent.wait(60)
            time.sleep(SETTLE_SECONDS)
        self._agent = None

    @property
    def hub_pid(self) -> int:
        """The hub's process id."""
        if self._process is None:
            raise RuntimeError("the hub is not running")
        return self._process.pid

    def remove(self) -> None:
        """Delete what hub and agent wrote."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        command: Sequence[str | Path] = [sys.executable, "-m", "keelwatch.cli.main", *arguments]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _ready(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.address}/readyz", retries=False).status == 200
        except (OSError, urllib3.exceptions.HTTPError):
            return False

    def _starts(self) -> int:
        return sum(row["kind"] == "agent_started" for row in self.records("lifecycle"))
