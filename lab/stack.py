"""keelwatch itself, as a user runs it (`keelwatch up`), with a client for its API.

For the demo, the tests and the benchmarks: everything goes through the command line and HTTP.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from lab.patience import PATIENCE

Record = dict[str, Any]
START_SECONDS = 60.0


class Stack:
    """Hub and agent on free ports, in a folder of their own that is removed at the end."""

    def __init__(self, *options: str, directory: Path | None = None) -> None:
        self._options = options
        self._made = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="keelwatch-stack-"))
        self.address = f"http://127.0.0.1:{free_port()}"
        self.metrics = f"127.0.0.1:{free_port()}"
        self.log = self.directory / "keelwatch.log"
        self._http = urllib3.PoolManager(maxsize=8, retries=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start; return when the hub answers and the agent has said that it runs."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._made and error is None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start hub and agent."""
        program = [sys.executable, "-m", "keelwatch.cli.main", "up", "--no-config"]
        where = ["--data", str(self.directory / "data"), "--listen", self.address.partition("://")[2]]
        arguments = [*program, *where, "--metrics-listen", self.metrics, *self._options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.wait_for(self._agent_started, START_SECONDS, "keelwatch did not start")

    def stop(self) -> None:
        """End both, in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    @property
    def pid(self) -> int:
        """The process id of `keelwatch up`."""
        if self._process is None:
            raise RuntimeError("keelwatch is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether `keelwatch up` has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def token(self) -> str:
        """The log-in token."""
        return (self.directory / "data" / "login.token").read_text().strip()

    def get(self, path: str, **parameters: Any) -> urllib3.BaseHTTPResponse:
        """Answer of one request to the API; `path` is below /api/v1."""
        return self._http.request(
            "GET",
            f"{self.address}/api/v1{path}",
            fields={name: str(value) for name, value in parameters.items()},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60.0,
        )

    def records(self, table: str, **parameters: Any) -> list[Record]:
        """The rows of a table, oldest first; raise RuntimeError for an error answer."""
        answer = self.get(f"/{table}", **parameters)
        if answer.status != 200:
            raise RuntimeError(f"GET /{table}: {answer.status} {answer.data[:500]!r}")
        return [json.loads(line) for line in answer.data.splitlines() if line]

    def follow(self, table: str, **parameters: Any) -> Iterator[Record]:
        """New records as the hub shows them, until the caller stops."""
        answer = self._http.request(
            "GET",
            f"{self.address}/api/v1/{table}",
            fields={"follow": "true", **{name: str(value) for name, value in parameters.items()}},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=urllib3.Timeout(connect=5, read=600),
            preload_content=False,
        )
        for line in answer:
            if line.strip():
                yield json.loads(line)

    def wait_for(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        """Poll until `condition` returns something true; return it, or raise with the program's log."""
        end = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                break
            if found := condition():
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{what}; the end of {self.log}:\n{self.log.read_text(errors='replace')[-3000:]}")

    def _agent_started(self) -> bool:
        try:
            return any(row["kind"] == "agent_started" for row in self.records("lifecycle"))
        except (OSError, RuntimeError, urllib3.exceptions.HTTPError):
            return False


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
