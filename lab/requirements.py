"""What a machine must have before containers can run here, said in words."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

BUSYBOX = Path("/bin/busybox")


def missing_for_containers() -> str:
    """Return what keeps the lab's containerd from running, with how to mend it, or ""."""
    if os.geteuid() != 0:
        return "containers need root"
    needed = {"containerd": "containerd", "ctr": "containerd", "runc": "runc"}
    absent = sorted({package for program, package in needed.items() if not shutil.which(program)})
    if not BUSYBOX.exists():
        absent.append("busybox-static")
    if absent:
        return f"not installed: apt-get install {' '.join(absent)}"
    if importlib.util.find_spec("ziglang") is None:
        return "not installed: pip install ziglang"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlayfs: modprobe overlay"
    return ""


def missing_for_docker() -> str:
    """Like missing_for_containers, for Docker's daemon."""
    without = missing_for_containers()
    if not without and not shutil.which("dockerd"):
        return "not installed: apt-get install docker.io"
    return without


def missing_for_crio() -> str:
    """Like missing_for_containers, for CRI-O."""
    if without := missing_for_containers():
        return without
    if not (shutil.which("crio") and shutil.which("pinns")):
        return "not on PATH: crio, pinns (lab/cluster/build makes them)"
    absent = sorted(name for name in ("podman", "conmon") if not shutil.which(name))
    return f"not installed: apt-get install {' '.join(absent)}" if absent else ""
