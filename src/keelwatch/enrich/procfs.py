"""Reads one process from /proc: how the tree learns of what ran before the sensor did. proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from keelwatch.enrich.runtime.cgroups import outermost
from keelwatch.model.process import Process

PROC = Path("/proc")
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
MAX_CMDLINE = 16 << 10


def pids() -> Iterator[int]:
    """Every process id there is now."""
    return (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208  # names only: no Path each


def read_process(pid: int) -> Process | None:
    """Return the process, or None where it is gone. `start` is rounded down to a clock tick."""
    base = PROC / str(pid)
    try:
        stat = _text(base / "stat", 4096)
        status = _status(base)
        cmdline = _bytes(base / "cmdline", MAX_CMDLINE)
        cgroup = _text(base / "cgroup", 64 << 10)
    except OSError:
        return None
    comm, after = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
    return Process(
        pid=pid,
        start=int(after[19]) * TICK,
        ppid=int(after[1]),
        comm=comm,
        exe=_link(base / "exe"),
        argv=tuple(_escape(arg) for arg in cmdline.rstrip(b"\0").split(b"\0")) if cmdline else (),
        cwd=_link(base / "cwd"),
        tty=int(after[4]),
        uid=_number(status, "Uid"),
        euid=_number(status, "Uid", 1),
        gid=_number(status, "Gid"),
        loginuid=_loginuid(base),
        capabilities=int(status.get("CapEff", "0"), 16),
        container_id=outermost(cgroup),
    )


def started(pid: int) -> int:
    """When the process was started, as `Process.start`, but rounded down to a tick; OSError if it is gone."""
    stat = _text(PROC / str(pid) / "stat", 4096)
    return int(stat[stat.rindex(")") + 2 :].split()[19]) * TICK


def alive(pid: int) -> bool:
    """Whether a process with this id exists and is not a zombie."""
    try:
        stat = _text(PROC / str(pid) / "stat", 4096)
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def _bytes(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _text(path: Path, limit: int) -> str:
    return _escape(_bytes(path, limit))


def _escape(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _link(path: Path) -> str:
    try:
        return _escape(os.readlink(os.fsencode(path)))  # noqa: PTH115  # bytes: any name is possible
    except OSError:
        return ""


def _status(base: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(base / "status", 16 << 10).splitlines())
    return {key: value.strip() for key, _, value in pairs}


def _number(status: dict[str, str], key: str, index: int = 0) -> int:
    values = status.get(key, "").split()
    return int(values[index]) if len(values) > index else 0


def _loginuid(base: Path) -> int:
    try:
        value = int(_text(base / "loginuid", 32))
    except (OSError, ValueError):
        return -1
    return -1 if value == 0xFFFFFFFF else value
