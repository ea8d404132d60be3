"""A container's root file system: its superblock's device and the overlay's layers.

They are looked up by the mount point of the bundle's `rootfs` in the mount table of the shim, not
in the container's: there it is known before the entrypoint has pivoted into it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from keelwatch.enrich.runtime.statefiles import read_text

MAX_MOUNTINFO = 16 << 20
MAX_LAYERS = 512
_OCTAL = re.compile(r"\\([0-7]{3})")
_LAYER_END = re.compile(r"(?<!\\):")


@dataclass(frozen=True, slots=True)
class Root:
    """`device` as stat(2) encodes st_dev. Layer paths are the node's; none unless it is overlayfs."""

    device: int = 0
    upper: str = ""
    lower: tuple[str, ...] = ()


def root_at(mount_point: str, pid: int, proc: Path = Path("/proc")) -> Root:
    """The file system mounted at `mount_point` in the mount namespace of `pid`."""
    mountinfo = read_text(proc / str(pid) / "mountinfo", MAX_MOUNTINFO)
    found = Root()
    if mount_point not in mountinfo and "\\" not in mountinfo:
        return found
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if len(words) > 6 and _unescape(words[4]) == mount_point:
            found = _parse(words)  # the last one hides those before
    return found


def root_of(pid: int, proc: Path = Path("/proc")) -> Root:
    """The overlay that `pid` has as its root, for runtimes whose bundle says nothing.

    Only right once the runtime has pivoted: before that a process still has the node's root.
    """
    for line in read_text(proc / str(pid) / "mountinfo", MAX_MOUNTINFO).splitlines():
        words = line.split(" ")
        if len(words) > 6 and words[3:5] == ["/", "/"] and " - overlay " in line:
            return _parse(words)
    return Root()


def _parse(words: list[str]) -> Root:
    major, _, minor = words[2].partition(":")
    device = os.makedev(int(major), int(minor))
    after = words[words.index("-") + 1 :] if "-" in words else []
    if len(after) < 3 or after[0] != "overlay":
        return Root(device)
    upper, lower = "", []
    for option in after[2].split(","):
        key, _, value = option.partition("=")
        if key == "upperdir":
            upper = _unescape(value)
        elif key == "lowerdir":
            lower += [_unescape(part).replace("\\:", ":") for part in _LAYER_END.split(value) if part]
        elif key == "lowerdir+":  # how the newer mount API shows each layer
            lower.append(_unescape(value))
    return Root(device, upper, tuple(_absolute(path, upper) for path in lower[:MAX_LAYERS]))


def _absolute(layer: str, upper: str) -> str:
    """Runtimes shorten long layer lists by mounting from the layers' common folder."""
    if layer.startswith("/"):
        return layer
    for parent in Path(upper).parents:
        if (parent / layer).is_dir():
            return str(parent / layer)
    return layer


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
