"""A dockerd instance of its own, for Docker's json-file logs and its state on disk.

Spoken to over its HTTP API, so no docker command is needed. Its containers share the node's network.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import sweep
from lab.containerd import Containerd
from lab.images import WORKLOAD_IMAGE, Image, workload_image, write_archive

START_SECONDS = 30.0
API = "/v1.41"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class DockerContainer:
    """A container as Docker's API names it."""

    docker: Docker
    id: str
    name: str

    @property
    def log(self) -> Path:
        """The json-file log."""
        return Path(self.inspect()["LogPath"])

    def inspect(self) -> dict[str, Any]:
        answer = self.docker.request("GET", f"/containers/{self.id}/json")
        assert isinstance(answer, dict)
        return answer

    def pid(self) -> int:
        """The node's process id of the first process."""
        return int(self.inspect()["State"]["Pid"])

    def stop(self, grace: int = 1) -> None:
        self.docker.request("POST", f"/containers/{self.id}/stop?t={grace}")

    def start(self) -> None:
        """Start it again; it keeps its id and its log."""
        self.docker.request("POST", f"/containers/{self.id}/start")

    def remove(self) -> None:
        """Remove the container and its log, running or not."""
        self.docker.request("DELETE", f"/containers/{self.id}?force=1")


class Docker:
    """Start and stop one instance; as a context manager, it is swept away at the end."""

    def __init__(self, directory: Path | str | None = None) -> None:
        self.directory = Path(directory or tempfile.mkdtemp(prefix=sweep.PREFIX))
        self.socket = self.directory / "docker.sock"
        # A containerd of the lab's, for dockerd would otherwise use the machine's if there is one.
        self.containerd = Containerd(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Docker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Docker:
        """Start containerd and dockerd, load the workload image."""
        self.containerd.start(workload=False)
        try:
            self._spawn()
            self._wait_until_ready()
            self.load_image(workload_image())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything and delete the directory."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self.containerd.stop()

    def load_image(self, image: Image) -> None:
        """Import an image as `docker load` does."""
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tar") as archive:
            write_archive(image, Path(archive.name))
            self.request("POST", "/images/load?quiet=1", archive.read(), "application/x-tar")

    def run(
        self,
        name: str,
        command: list[str],
        image: str = WORKLOAD_IMAGE,
        labels: dict[str, str] | None = None,
        log_options: dict[str, str] | None = None,
    ) -> DockerContainer:
        """Create and start a container; `log_options` are those of json-file (`max-size`, …)."""
        config = {
            "Image": image,
            "Entrypoint": command,
            "Labels": labels or {},
            "HostConfig": {
                "NetworkMode": "host",
                "LogConfig": {"Type": "json-file", "Config": log_options or {}},
            },
        }
        made = self.request("POST", f"/containers/create?name={name}", json.dumps(config).encode())
        container = DockerContainer(self, made["Id"], name)
        self.request("POST", f"/containers/{container.id}/start")
        return container

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Any:
        """Call the API; return the answer's JSON, or None when it has none."""
        connection = _UnixConnection(self.socket)
        try:
            connection.request(method, API + path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode(errors='replace').strip()}")
        try:
            return json.loads(content)
        except ValueError:
            return None

    def _spawn(self) -> None:
        config = self.directory / "daemon.json"
        config.write_text("{}")
        options = {
            "config-file": config,
            "containerd": self.containerd.socket,
            "data-root": self.directory / "docker",
            "exec-root": self.directory / "exec",
            "pidfile": self.directory / "docker.pid",
            "host": f"unix://{self.socket}",
            "bridge": "none",
            "iptables": "false",
            "ip-forward": "false",
            "ip-masq": "false",
            "storage-driver": "overlay2",
            "oom-score-adjust": "0",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        with (self.directory / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.request("GET", "/version")
            except OSError as error:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > end:
                    raise RuntimeError(f"dockerd does not answer:\n{self._log_tail()}") from error
                time.sleep(0.05)
            else:
                return

    def _log_tail(self) -> str:
        return "\n".join((self.directory / "dockerd.log").read_text("utf-8", "replace").splitlines()[-15:])
