"""Hub and agent as two processes, for tests of coverage: each can be killed, ended and started again."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3

from lab.pod import random_name
from lab.stack import free_port
from tests.stack_support import PROGRAM, eventually


class Site:
    """`keelwatch hub` and `keelwatch agent` as two processes, each ended and started as a test likes."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="keelwatch-coverage-"))
        self.address = f"127.0.0.1:{free_port()}"
        self.log = self.directory / "log"
        self.cluster = f"cluster-{random_name(4)}"
        self.node = "n1"
        self._http = urllib3.PoolManager(retries=False)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *options: str, data: str = "") -> None:
        token = self.directory / "hub" / "agent.token"
        commands = {
            "hub": ("hub", "--listen", self.address, "--data", str(self.directory / "hub"),
                    "--admin-token-file", str(self.directory / "admin.token")),
            "agent": ("agent", "--hub", f"http://{self.address}", "--token-file", str(token),
                      "--node", self.node, "--cluster", self.cluster, "--metrics-listen", "",
                      "--data", str(self.directory / (data or "agent"))),
        }  # fmt: skip
        with self.log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*PROGRAM, *commands[name], *options], stdout=log, stderr=log
            )
        if name == "hub":
            eventually(self._ready, "the hub did not start", 60)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str) -> None:
        process = self._running.pop(name)
        process.terminate()
        process.wait(60)

    def close(self) -> None:
        for name in ("agent", "hub"):
            if name in self._running:
                self.end(name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _ready(self) -> bool:
        try:
            return self._http.request("GET", f"http://{self.address}/readyz", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    @property
    def token(self) -> str:
        return (self.directory / "admin.token").read_text().strip()

    def coverage(self, **parameters: str) -> dict[str, Any]:
        answer = self._http.request(
            "GET", f"http://{self.address}/api/v1/coverage", fields=parameters, timeout=60,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert answer.status == 200, answer.data
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def container(self, namespace: str, **parameters: str) -> dict[str, Any]:
        """The one container of a namespace, as soon as it is known."""
        found = eventually(lambda: self.coverage(namespace=namespace, **parameters)["containers"])
        assert len(found) == 1, found
        return found[0]  # type: ignore[no-any-return]


def moment(text: str) -> float:
    return datetime.fromisoformat(f"{text[:26]}+00:00").timestamp()


def events_missing(one: dict[str, Any], cause: str = "") -> list[tuple[float, float]]:
    parts = [part for part in one["events"]["missing"] if not cause or part["cause"] == cause]
    return [(moment(part["from"]), moment(part["to"])) for part in parts]
