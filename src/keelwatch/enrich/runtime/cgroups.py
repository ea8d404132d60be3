"""The containers that the cgroup trees show, whatever runtime made them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MAX_DEPTH = 24
MAX_NAME = 158
"""Bytes of a cgroup's name that the sensor reads."""
_CONTAINER = re.compile(r"(?:(?P<before>.*)[-:])?(?P<id>[0-9a-f]{64})(?:\.scope)?", re.ASCII | re.DOTALL)


def trees(root: Path = CGROUPS) -> list[Path]:
    """The hierarchies worth walking: the v2 tree and one v1 controller that runtimes always join."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return [path for name in ("pids", "unified") if (path := root / name).is_dir()]


def container_in(name: str) -> str:
    """The container id in the name of one cgroup, or "".

    The same rule as in sensor/lib/container.h: 64 hex digits at the end, alone or behind `-` or `:`
    (`…slice:cri-containerd:<id>`), with or without `.scope`; `…conmon-<id>` is the monitor beside it.
    """
    found = _CONTAINER.fullmatch(name) if len(os.fsencode(name)) <= MAX_NAME else None
    return found["id"] if found and not (found["before"] or "").endswith("conmon") else ""


def outermost(text: str) -> str:
    """The outermost container id in the text of /proc/<pid>/cgroup, or "". The v2 tree is asked first."""
    for line in sorted(text.splitlines(), key=lambda line: not line.startswith("0::")):
        for name in line.partition(":")[2].partition(":")[2].split("/"):
            if container_id := container_in(name):
                return container_id
    return ""


def find_all(root: Path = CGROUPS) -> dict[str, Path]:
    """Container id -> its cgroup, outermost containers only."""
    found: dict[str, Path] = {}
    for tree in trees(root):
        for container_id, path in _walk(tree, 0):
            found.setdefault(container_id, path)
    return found


def first_pid(cgroup: Path) -> int:
    """The lowest process id in the cgroup or below it, 0 when it is empty or gone."""
    return min(pids(cgroup), default=0)


def pids(cgroup: Path) -> Iterator[int]:
    """The processes in the cgroup and below it."""
    for folder, _, _ in os.walk(cgroup):
        try:
            text = (Path(folder) / "cgroup.procs").read_text()
        except OSError:
            continue
        yield from (int(word) for word in text.split() if word != "0")


def _walk(folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    if depth > MAX_DEPTH:
        return
    try:
        with os.scandir(folder) as entries:
            below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for name in below:
        container_id = container_in(name)
        if container_id:
            yield container_id, folder / name
        else:
            yield from _walk(folder / name, depth + 1)
