"""What a container runtime of the lab's own has in common, whichever it is: daemon, socket, logs, end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from keelwatch.enrich.runtime.cri import Cri, CriError
from lab import sweep
from lab.images import Image, pause_image, workload_image
from lab.patience import PATIENCE

START_SECONDS = 30.0 * PATIENCE
SANDBOX_HANDLER = "runsc"
"""A second handler, named as gVisor's is. Here it is runc, too: only what is said of it differs."""


def remove_pods(socket: Path | str) -> None:
    """Kill and remove every pod of a runtime; raises CriError."""
    cri = Cri(socket)
    try:
        for container in cri.call("ListContainers", 10.0).containers:
            cri.call("StopContainer", 30.0, container_id=container.id, timeout=0)
        for sandbox in cri.call("ListPodSandbox", 10.0).items:
            cri.call("StopPodSandbox", 30.0, pod_sandbox_id=sandbox.id)
            cri.call("RemovePodSandbox", 30.0, pod_sandbox_id=sandbox.id)
    finally:
        cri.close()


class CriRuntime:
    """Start and stop one instance; as a context manager, it is swept away at the end.

    The directory must be short: a Unix socket's path has 107 bytes.
    """

    program: str
    """The daemon's name, which its socket and its log bear, too."""

    def __init__(self, directory: Path | str | None = None) -> None:
        self.directory = Path(directory or tempfile.mkdtemp(prefix=sweep.PREFIX))
        self.socket = self.directory / f"{self.program}.sock"
        self.logs = self.directory / "pods"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def import_image(self, image: Image) -> str:
        """Import `image`; return its manifest's digest once CRI knows it."""
        raise NotImplementedError

    def _configure(self) -> list[str]:
        """Write the configuration; return the daemon's command line."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        if self._process is None:
            raise RuntimeError(f"{self.program} is not running")
        return self._process.pid

    def start(self, *, workload: bool = True) -> Self:
        """Sweep away what a crash left, start the daemon, import the pause and workload images."""
        sweep.sweep_abandoned()
        sweep.sweep(self.directory)
        self.logs.mkdir(parents=True)
        sweep.claim(self.directory)
        try:
            self._spawn()
            for image in (pause_image(), workload_image()) if workload else (pause_image(),):
                self.import_image(image)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove every pod and container, stop the daemon, delete the directory."""
        if self._process is not None and self._process.poll() is None:
            with suppress(CriError):
                remove_pods(self.socket)
        self.stop_daemon()
        sweep.sweep(self.directory)

    def stop_daemon(self) -> None:
        """Stop the daemon alone; its containers go on, as they do when a node upgrades it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart_daemon(self) -> None:
        """Stop the daemon and start it again over the same state."""
        self.stop_daemon()
        self._spawn()

    def _spawn(self) -> None:
        with (self.directory / f"{self.program}.log").open("ab") as log:
            # A session of its own: Ctrl-C must reach the lab, which then stops the runtime in order.
            self._process = subprocess.Popen(
                self._configure(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.directory)},
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        cri = Cri(self.socket)
        try:
            while True:
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError(f"{self.program} ended at once:\n{self._log_tail()}")
                with suppress(CriError):
                    cri.call("Version", 1.0)
                    return
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.program} does not answer:\n{self._log_tail()}")
                time.sleep(0.05)
        finally:
            cri.close()

    def _log_tail(self) -> str:
        log = self.directory / f"{self.program}.log"
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
