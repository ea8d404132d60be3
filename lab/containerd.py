"""A containerd instance of its own: root, state, socket and logs under one directory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from keelwatch.enrich.runtime.cri import Cri, CriError
from lab import sweep
from lab.images import PAUSE_IMAGE, Image, pause_image, workload_image, write_archive

START_SECONDS = 30.0
IMPORT_SECONDS = 60.0

# Version 2 of the file format is read by containerd 1.6 and, converted, by containerd 2.
CONFIG = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{directory}/cni/bin"
    conf_dir = "{directory}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{directory}/runc"
"""


class Containerd:
    """Start and stop one instance; as a context manager, it is swept away at the end.

    The directory must be short: a Unix socket's path has 107 bytes.
    """

    def __init__(self, directory: Path | str | None = None) -> None:
        self.directory = Path(directory or tempfile.mkdtemp(prefix=sweep.PREFIX))
        self.socket = self.directory / "containerd.sock"
        self.logs = self.directory / "pods"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Containerd:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        if self._process is None:
            raise RuntimeError("containerd is not running")
        return self._process.pid

    def start(self, *, workload: bool = True) -> Containerd:
        """Sweep away what a crash left, start the daemon, import the pause and workload images."""
        sweep.sweep_abandoned()
        sweep.sweep(self.directory)
        self.logs.mkdir(parents=True)
        sweep.claim(self.directory)
        config = self.directory / "config.toml"
        config.write_text(CONFIG.format(directory=self.directory, pause=PAUSE_IMAGE))
        self._spawn(config)
        try:
            self._wait_until_ready()
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
                self._remove_pods()
        self.stop_daemon()
        sweep.sweep(self.directory)

    def stop_daemon(self) -> None:
        """Stop containerd alone; its containers go on, as they do when a node upgrades it."""
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
        """Stop containerd and start it again over the same state."""
        self.stop_daemon()
        self._spawn(self.directory / "config.toml")
        self._wait_until_ready()

    def ctr(self, *arguments: str, namespace: str = "k8s.io") -> str:
        """Run containerd's own client; return its output, or raise with its error text."""
        command = ["ctr", "-a", str(self.socket), "-n", namespace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def import_image(self, image: Image, namespace: str = "k8s.io") -> str:
        """Import `image`; return its manifest's digest once CRI knows it."""
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tar") as archive:
            digest = write_archive(image, Path(archive.name))
            self.ctr("image", "import", archive.name, namespace=namespace)
        if namespace == "k8s.io":
            self._wait_for_image(image.name)
        return digest

    def _spawn(self, config: Path) -> None:
        with (self.directory / "containerd.log").open("ab") as log:
            # A session of its own: Ctrl-C must reach the lab, which then stops containerd in order.
            self._process = subprocess.Popen(
                ["containerd", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.directory)},
            )

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        cri = Cri(self.socket)
        try:
            while True:
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError(f"containerd ended at once:\n{self._log_tail()}")
                with suppress(CriError):
                    cri.call("Version", 1.0)
                    return
                if time.monotonic() > end:
                    raise TimeoutError(f"containerd does not answer:\n{self._log_tail()}")
                time.sleep(0.05)
        finally:
            cri.close()

    def _wait_for_image(self, name: str) -> None:
        # CRI learns of an import by an event, a moment after `ctr` has returned.
        end = time.monotonic() + IMPORT_SECONDS
        cri = Cri(self.socket)
        try:
            while not cri.call("ImageStatus", 5.0, image={"image": name}).image.id:
                if time.monotonic() > end:
                    raise TimeoutError(f"CRI does not see the imported image {name}")
                time.sleep(0.02)
        finally:
            cri.close()

    def _remove_pods(self) -> None:
        cri = Cri(self.socket)
        try:
            for sandbox in cri.call("ListPodSandbox", 10.0).items:
                cri.call("StopPodSandbox", 30.0, pod_sandbox_id=sandbox.id)
                cri.call("RemovePodSandbox", 30.0, pod_sandbox_id=sandbox.id)
        finally:
            cri.close()

    def _log_tail(self) -> str:
        return "\n".join((self.directory / "containerd.log").read_text("utf-8", "replace").splitlines()[-15:])
