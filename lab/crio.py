"""A CRI-O instance of its own: storage, state, socket and logs under one directory."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.cri_runtime import SANDBOX_HANDLER, CriRuntime
from lab.images import PAUSE_IMAGE, Image, write_archive

CONFIG = """\
[crio]
root = "{directory}/root"
runroot = "{directory}/run"
storage_driver = "overlay"
log_dir = "{directory}/crio-logs"
version_file = "{directory}/version"
version_file_persist = "{directory}/version-persist"
clean_shutdown_file = "{directory}/clean-shutdown"
[crio.api]
listen = "{directory}/crio.sock"
stream_address = "127.0.0.1"
stream_port = "0"
[crio.runtime]
cgroup_manager = "cgroupfs"
default_runtime = "runc"
pinns_path = "{pinns}"
namespaces_dir = "{directory}/namespaces"
container_exits_dir = "{directory}/exits"
container_attach_socket_dir = "{directory}/attach"
apparmor_profile = "unconfined"
hooks_dir = ["{directory}/hooks"]
default_mounts_file = ""
[crio.runtime.runtimes.runc]
runtime_path = "{runc}"
runtime_type = "oci"
runtime_root = "{directory}/runc"
monitor_path = "{conmon}"
monitor_cgroup = "pod"
[crio.runtime.runtimes.{handler}]
runtime_path = "{runc}"
runtime_type = "oci"
runtime_root = "{directory}/runc"
monitor_path = "{conmon}"
monitor_cgroup = "pod"
[crio.image]
pause_image = "{pause}"
pause_command = ""
signature_policy = "{directory}/policy.json"
[crio.network]
network_dir = "{directory}/cni/net.d"
plugin_dirs = ["{directory}/cni/bin"]
[crio.nri]
enable_nri = false
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


class Crio(CriRuntime):
    """CRI-O over conmon and runc. lab/cluster/build makes its programs; podman imports the images."""

    program = "crio"

    def import_image(self, image: Image) -> str:
        """Import `image`; return its manifest's digest."""
        storage = ["--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run"]
        command = ["podman", *storage, "--storage-driver", "overlay", "load", "--quiet", "--input"]
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tar") as archive:
            digest = write_archive(image, Path(archive.name))
            done = subprocess.run([*command, archive.name], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return digest

    def _configure(self) -> list[str]:
        for folder in ("hooks", "cni/net.d", "cni/bin"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        (self.directory / "policy.json").write_text(POLICY)
        programs = {name: shutil.which(name) for name in ("pinns", "runc", "conmon")}
        config = self.directory / "crio.conf"
        config.write_text(
            CONFIG.format(directory=self.directory, pause=PAUSE_IMAGE, handler=SANDBOX_HANDLER, **programs)
        )
        return ["crio", "--config", str(config), "--config-dir", str(self.directory / "conf.d")]
