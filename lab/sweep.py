"""Sweeps a lab directory away: containers, shims, daemons, mounts, sockets, cgroups, files.

Works on what is found on the machine, not on what a process remembers, so that it also cleans up
behind a lab that was killed. Only things whose command line, mount point or cgroup name points into
the given directory are touched.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PREFIX = "keelwatch-lab-"
OWNER = "owner"
CGROUPS = Path("/sys/fs/cgroup")
BURSTABLE = "lab/kubepods/burstable"
"""Not where a real kubelet of this machine looks: it kills the pods that it does not know."""
SYSTEMD_CGROUPS = os.environ.get("LAB_CGROUP_DRIVER") == "systemd"
"""containerd has systemd make the cgroups, as on most nodes; only where systemd runs (lab/machine)."""

DAEMONS = ("containerd", "dockerd", "docker-proxy", "crio", "conmon")
QUIET_SECONDS = 5.0


def claim(directory: Path) -> None:
    """Write down that this process owns `directory`."""
    (directory / OWNER).write_text(f"{os.getpid()} {_start_time(os.getpid())}")


def sweep_abandoned(parent: Path | None = None) -> list[Path]:
    """Sweep the labs under `parent` (the folder for temporary files) whose owner is dead."""
    swept = []
    for directory in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        with suppress(OSError), (directory / OWNER).open() as owner:
            # Labs start side by side, and each sweeps: one of them gets the lock, the others go on.
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_abandoned(owner.read()):
                sweep(directory)
                swept.append(directory)
    return swept


def sweep(directory: Path) -> None:
    """Remove everything that belongs to the lab in `directory`, and the directory."""
    cgroups = list(_cgroups(directory))
    sockets = list(_shim_sockets(directory))
    _kill(_daemons(directory))
    _kill(pid for cgroup in cgroups for pid in _members(cgroup))
    _unmount(directory)
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for cgroup in cgroups:
        _remove_cgroup(cgroup)
    _remove_parents()
    shutil.rmtree(directory, ignore_errors=True)


def pod_cgroup(uid: str) -> str:
    """What a kubelet with `--cgroup-root /lab` tells the runtime of a burstable pod's cgroup."""
    return pod_folder(uid).rpartition("/")[2] if SYSTEMD_CGROUPS else f"/{pod_folder(uid)}"


def pod_folder(uid: str) -> str:
    """Where that cgroup is in each tree: a slice's name has those of the slices above it."""
    if not SYSTEMD_CGROUPS:
        return f"{BURSTABLE}/pod{uid}"
    parts = [*BURSTABLE.split("/"), f"pod{uid.replace('-', '_')}"]
    return "/".join(f"{'-'.join(parts[: depth + 1])}.slice" for depth in range(len(parts)))


def hierarchies() -> Iterator[Path]:
    """The cgroup trees of this machine: the v1 controllers and the v2 tree."""
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS
        return
    for path in CGROUPS.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield path


def remove_pod_cgroup(uid: str) -> None:
    """Remove an ended pod's cgroups, as the kubelet does."""
    for tree in hierarchies():
        _remove_cgroup(tree / pod_folder(uid))
    _remove_parents()


def _is_abandoned(owner: str) -> bool:
    pid, _, start = owner.partition(" ")
    return pid.isdigit() and _start_time(int(pid)) != start


def _start_time(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _daemons(directory: Path) -> Iterator[int]:
    """Runtimes' daemons, shims and monitors whose command line names the directory."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            daemon = Path(words[0]).name.startswith(DAEMONS)
            if daemon and any(str(directory) + "/" in f"{word}/" for word in words[1:]):
                yield int(entry.name)


def _containers(directory: Path) -> Iterator[Path]:
    """The bundles of containers that the directory's shims hold: .../<namespace>/<id>."""
    yield from directory.glob("state/io.containerd.runtime.v2.task/*/*")


def _shim_sockets(directory: Path) -> Iterator[Path]:
    # Shims keep their sockets under /run/containerd/s, whatever containerd's state directory is.
    for bundle in _containers(directory):
        with suppress(OSError):
            address = (bundle / "address").read_text()
            path = Path(address.removeprefix("unix://"))
            if path.parent == Path("/run/containerd/s"):
                yield path


def _cgroups(directory: Path) -> Iterator[Path]:
    names = [pod_folder(path.name.rpartition("_")[2]) for path in directory.glob("pods/*_*_*")]
    for bundle in _containers(directory):
        names += [f"{bundle.parent.name}/{bundle.name}", f"docker/{bundle.name}"]
    for tree in hierarchies():
        yield from (tree / name for name in names if (tree / name).is_dir())


def _members(cgroup: Path) -> Iterator[int]:
    for folder, _, _ in os.walk(cgroup):
        with suppress(OSError):
            yield from (int(word) for word in (Path(folder) / "cgroup.procs").read_text().split())


def _kill(pids: Iterable[int]) -> None:
    waiting = set(pids) - {0, os.getpid()}
    for pid in waiting:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + QUIET_SECONDS
    while any(_runs(pid) for pid in waiting) and time.monotonic() < end:
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _unmount(directory: Path) -> None:
    prefix = str(directory.resolve()) + "/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([point for point in points if point.startswith(prefix)]):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def _remove_cgroup(cgroup: Path) -> None:
    end = time.monotonic() + QUIET_SECONDS
    while cgroup.is_dir() and time.monotonic() < end:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        if cgroup.is_dir():
            time.sleep(0.02)


def _remove_parents() -> None:
    """Remove what runtimes make above their containers: only where empty, and nobody else's."""
    commands = {_command(entry) for entry in Path("/proc").glob("[0-9]*")}
    names = [BURSTABLE, "lab/kubepods", "lab"]
    if not commands & {"containerd", "dockerd", "crio"}:
        names += ["k8s.io", "docker", "default"]
        for folder in ("/run/docker/plugins", "/run/docker"):
            with suppress(OSError):
                Path(folder).rmdir()
    for tree in hierarchies():
        for name in names:
            with suppress(OSError):
                (tree / name).rmdir()


def _command(entry: Path) -> str:
    try:
        return (entry / "comm").read_text().strip()
    except OSError:
        return ""
