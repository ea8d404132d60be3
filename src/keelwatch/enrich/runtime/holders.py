"""The processes that hold containers and the daemons behind them, found in /proc.

A container's own process can call itself anything, and so can a user's on the node. So only processes
of root outside of every container are believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keelwatch.enrich.runtime.cgroups import outermost
from keelwatch.enrich.runtime.statefiles import number, read_json, read_text, read_toml, table, text

PROC = Path("/proc")
MAX_STEPS = 64
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CRIO_SOCKET = "/run/crio/crio.sock"
MAX_CONFIGS = 100
"""Configuration files of one daemon that are read."""
DOCKER_ROOT = "/var/lib/docker"


@dataclass(frozen=True, slots=True)
class Shim:
    """containerd's shim: `tasks` holds one bundle a container, `address` is containerd's socket."""

    pid: int
    namespace: str
    address: str
    tasks: str


@dataclass(frozen=True, slots=True)
class Conmon:
    """The monitor of one container of CRI-O or Podman; files and folders as it was told them.

    `bundle` goes with the node's next start, `storage` stays.
    """

    pid: int
    container_id: str
    bundle: str
    storage: str
    name: str
    pid_file: str
    log: str


@dataclass(frozen=True, slots=True)
class Daemon:
    """`kind` is containerd, docker or cri-o; `place` its socket, or for docker its data root."""

    pid: int
    kind: str
    place: str


Holder = Shim | Conmon | Daemon


def holder_of(pid: int, proc: Path = PROC) -> Shim | Conmon | None:
    """The nearest shim or monitor among the ancestors of `pid`."""
    for _ in range(MAX_STEPS):
        if pid <= 1:
            return None
        found = identify(pid, proc)
        if isinstance(found, Shim | Conmon):
            return found
        pid = _parent(pid, proc)
    return None


def find_all(proc: Path = PROC) -> Iterator[Holder]:
    """Every shim, monitor and daemon that runs now."""
    for name in os.listdir(proc):  # noqa: PTH208  # makes no object per process
        if name.isdigit() and (found := identify(int(name), proc)):
            yield found


def identify(pid: int, proc: Path = PROC) -> Holder | None:
    """What this process is, or None."""
    base = proc / str(pid)
    command = read_text(base / "comm", 64).rstrip("\n")
    if command not in _KINDS:
        return None
    if not _is_trusted(base):
        return None
    words = read_text(base / "cmdline", 64 << 10).split("\0")
    return _KINDS[command](pid, words, base)


def _is_trusted(base: Path) -> bool:
    """Whether the process is root's (the file's owner is no proof: it is the effective user only)."""
    status = read_text(base / "status", 64 << 10)
    users = next((line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")), [])
    if len(users) != 4 or set(users) != {"0"} or _inner_pid(status):
        return False
    cgroup = read_text(base / "cgroup", 64 << 10)
    return bool(cgroup) and not outermost(cgroup)


def _inner_pid(status: str) -> bool:
    """Whether the process lives in a process id namespace below the one of this /proc."""
    return any(len(line.split()) > 2 for line in status.splitlines() if line.startswith("NSpid:"))


def _shim(pid: int, words: list[str], base: Path) -> Shim | None:
    try:
        bundle = (base / "cwd").readlink()
    except OSError:
        return None
    address = _option(words, "address").removesuffix(".ttrpc")
    return Shim(pid, _option(words, "namespace"), address, str(bundle.parent))


def _conmon(pid: int, words: list[str], _base: Path) -> Conmon | None:
    container_id, bundle = _option(words, "c", "cid"), _option(words, "b", "bundle")
    if not container_id or not bundle:
        return None
    pid_file, log = _option(words, "p", "container-pidfile"), _option(words, "l", "log-path")
    storage = _option(words, "persist-dir") or bundle
    return Conmon(pid, container_id, bundle, storage, _option(words, "n", "name"), pid_file, log)


def _containerd(pid: int, words: list[str], base: Path) -> Daemon:
    config = _option(words, "c", "config") or "/etc/containerd/config.toml"
    configured = text(table(read_toml(_inside(base, config)), "grpc"), "address")
    return Daemon(pid, "containerd", _option(words, "a", "address") or configured or CONTAINERD_SOCKET)


def _dockerd(pid: int, words: list[str], base: Path) -> Daemon:
    config = _option(words, "config-file") or "/etc/docker/daemon.json"
    configured = text(read_json(_inside(base, config)), "data-root")
    return Daemon(pid, "docker", _option(words, "data-root", "g", "graph") or configured or DOCKER_ROOT)


def _crio(pid: int, words: list[str], base: Path) -> Daemon:
    """The files of the folder are read after the other one, the last name counts most."""
    files = [_inside(base, _option(words, "c", "config") or "/etc/crio/crio.conf")]
    files += sorted(_inside(base, _option(words, "d", "config-dir") or "/etc/crio/crio.conf.d").glob("*"))
    told = (text(table(table(read_toml(file), "crio"), "api"), "listen") for file in files[:MAX_CONFIGS])
    configured = [place for place in told if place]
    return Daemon(pid, "cri-o", _option(words, "listen") or (configured or [CRIO_SOCKET])[-1])


_KINDS = {
    "containerd-shim": _shim,  # comm has 15 bytes: containerd-shim-runc-v2 is cut to this
    "conmon": _conmon,
    "containerd": _containerd,
    "dockerd": _dockerd,
    "crio": _crio,
}


def _option(words: list[str], *names: str) -> str:
    """The value of `-name value`, `--name value` or `--name=value`."""
    wanted = {f"{dash}{name}" for name in names for dash in ("-", "--")}
    for index, word in enumerate(words):
        key, equals, value = word.partition("=")
        if key in wanted:
            return value if equals else words[index + 1] if index + 1 < len(words) else ""
    return ""


def _inside(base: Path, path: str) -> Path:
    """A path as the process itself sees it; the agent may live in another mount namespace."""
    return base / "root" / path.lstrip("/")


def _parent(pid: int, proc: Path) -> int:
    after = read_text(proc / str(pid) / "stat", 4096).rpartition(")")[2].split()
    return number(after[1]) if len(after) > 1 else 0
