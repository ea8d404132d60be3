"""A containerd instance of its own: root, state, socket and logs under one directory."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from keelwatch.enrich.runtime.cri import Cri
from lab.cri_runtime import SANDBOX_HANDLER, CriRuntime
from lab.images import PAUSE_IMAGE, Image, write_archive
from lab.patience import PATIENCE
from lab.sweep import SYSTEMD_CGROUPS

IMPORT_SECONDS = 60.0 * PATIENCE

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
        SystemdCgroup = {systemd}
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}.options]
        Root = "{directory}/runc"
        SystemdCgroup = {systemd}
"""


class Containerd(CriRuntime):
    """The runtime of the demo and, unless another is asked for, of the tests."""

    program = "containerd"

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

    def _configure(self) -> list[str]:
        config = self.directory / "config.toml"
        systemd = str(SYSTEMD_CGROUPS).lower()
        values = {"directory": self.directory, "pause": PAUSE_IMAGE, "handler": SANDBOX_HANDLER}
        config.write_text(CONFIG.format(**values, systemd=systemd))
        return ["containerd", "--config", str(config)]

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
