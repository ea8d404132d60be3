"""The sensor on other kernels, for real: each boots under qemu to an initramfs and loads it both ways.

Kernels are Debian packages unpacked under .build/kernels/<name>/ (`dpkg -x linux-image-….deb`), or
where KEELWATCH_KERNELS points.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.soak]

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path(os.environ.get("KEELWATCH_KERNELS", ROOT / ".build" / "kernels"))
GUEST = Path(__file__).parent / "programs" / "guest.py"
PYTHON = Path("/usr/bin/python3.11")
LIBRARY = Path("/usr/lib/python3.11")
LEFT_OUT = (
    "test",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "distutils",
    "dist-packages",
    "config-*",
    "__pycache__",
)
COMMANDS = ("sh", "mount", "mkdir", "echo", "poweroff", "true", "ln", "rm", "chmod", "mv")
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t cgroup2 none /sys/fs/cgroup; mount -t tmpfs tmp /tmp
PATH=/bin:/usr/bin python3.11 -B /kw/guest.py
poweroff -f
"""
EXPECTED = {
    ("exec", "execve", "/tmp/openat2"),
    ("exec", "execve", "/bin/busybox"),
    ("exit", "exit", ""),
    ("open", "openat2", "/tmp/openat2"),
    ("open", "open", "/tmp/gate32"),
    ("inherit", "execve", "/tmp/a"),
    ("rename", "rename", "/tmp/b"),
    ("link", "link", "/tmp/c"),
    ("unlink", "unlink", "/tmp/c"),
    ("unshare", "unshare", ""),
    ("ptrace", "ptrace", ""),
    ("mount", "mount", "/tmp"),
}


def kernels() -> list[Path]:
    return sorted(KERNELS.glob("*/boot/vmlinuz*"))


@pytest.fixture(scope="module")
def initramfs(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Path:
    """Busybox, Python with its libraries, keelwatch's sensor, and the script of the guest."""
    if not PYTHON.exists() or not shutil.which("qemu-system-x86_64"):
        pytest.skip("needs qemu-system-x86 and the system's Python 3.11")
    root = tmp_path_factory.mktemp("guest") / "root"
    for name in ("bin", "proc", "sys", "dev", "tmp", "usr/bin", "kw/keelwatch"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin")
    for command in COMMANDS:
        (root / "bin" / command).symlink_to("busybox")
    shutil.copy(tools / "act", root / "bin")
    shutil.copy(PYTHON, root / "usr/bin")
    shutil.copytree(LIBRARY, root / "usr/lib/python3.11", ignore=shutil.ignore_patterns(*LEFT_OUT))
    package = ROOT / "src/keelwatch"
    for part in ("_native", "model", "capture", "decode"):
        shutil.copytree(package / part, root / "kw/keelwatch" / part, ignore=shutil.ignore_patterns("logs"))
    shutil.copy(package / "__init__.py", root / "kw/keelwatch")
    shutil.copy(GUEST, root / "kw/guest.py")
    copy_libraries(root)
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    return pack(root)


def copy_libraries(root: Path) -> None:
    """What the programs are linked with, at the same places."""
    native = ROOT / "src/keelwatch/_native/libkeelwatch_sensor.so"
    programs = [PYTHON, native, *LIBRARY.glob("lib-dynload/_ctypes.*.so")]
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    for word in listed.split():
        if word.startswith("/") and not word.endswith(":"):
            target = root / word.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, target)


def pack(root: Path) -> Path:
    names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    archive = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names, capture_output=True, check=True
    ).stdout
    made = root.parent / "initramfs.gz"
    made.write_bytes(gzip.compress(archive, 1))
    return made


def boot(kernel: Path, initramfs: Path) -> dict[str, dict[str, Any]]:
    """What the guest said, by the way to attach it was asked for."""
    machine = ["-accel", "tcg", "-cpu", "max", "-m", "1500", "-nographic", "-no-reboot"]
    files = ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", "console=ttyS0 panic=-1 quiet"]
    done = subprocess.run(
        ["qemu-system-x86_64", *machine, *files], stdin=subprocess.DEVNULL, capture_output=True, timeout=280
    )
    lines = [line for line in done.stdout.decode(errors="replace").splitlines() if "GUEST {" in line]
    said = [json.loads(line[line.index("{") :]) for line in lines]
    assert said, done.stdout.decode(errors="replace")[-3000:]
    return {one["way"]: one for one in said}


def check(said: dict[str, Any]) -> None:
    assert "error" not in said, said["error"]
    assert (said["errors"], said["losses"], said["foreign"]) == (0, [], 0)
    assert {tuple(event) for event in said["seen"]} >= EXPECTED
    # Before 5.15 the kernel does not hand out the registers, and every birth is called clone.
    assert {call for kind, call, _ in said["seen"] if kind == "fork"} <= {"clone", "fork", "vfork"}
    assert {"fork"} & {kind for kind, _, _ in said["seen"]}
    assert said["targets"] >= 2
    assert said["times"]


@pytest.mark.parametrize("kernel", kernels() or [None], ids=lambda k: k.name if k else "none")
def test_the_sensor_on_another_kernel(kernel: Path | None, initramfs: Path) -> None:
    if kernel is None:
        pytest.skip(f"no kernel unpacked under {KERNELS}")
    said = boot(kernel, initramfs)
    check(said["sys_exit"])
    if "error" in said["fexit"]:
        print(said["fexit"]["error"])
        assert said["auto"]["attached"] == "sys_exit"
    else:
        check(said["fexit"])
        assert said["auto"]["attached"] == "fexit"
    check(said["auto"])
