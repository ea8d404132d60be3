"""A container's overlay as the node sees it: what its layers hold at a path of the container.

Layers come from images, and the upper one is the container's to write. So every look below one of
them stays inside (`kit.rooted`): no link leads to the node's own files.

Where a part of a path is a link in one layer and a folder in another, the topmost layer counts, as in
the overlay itself. Opaque folders are not regarded: a file below one counts as the image's if any
layer has it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache

from keelwatch.kit import rooted

MAX_LINKS = 40
"""As in the kernel."""
MAX_PARTS = 512


@dataclass(frozen=True, slots=True)
class Layers:
    """Where a container's overlay keeps its files, as paths of the node."""

    upper: str = ""
    lower: tuple[str, ...] = ()


def in_image(path: str, layers: Layers) -> bool:
    """Whether a layer below the container's own holds something at `path`; a link there counts itself."""
    plain = _in_image_plain(path, layers)
    if plain is not None:
        return plain
    place = resolve(path, layers, follow=False)
    for layer in layers.lower:
        with _looked(layer, place) as found:
            if found >= 0:
                return not stat.S_ISCHR(os.fstat(found).st_mode)  # a whiteout is a character device
    return False


def _in_image_plain(path: str, layers: Layers) -> bool | None:
    """The quick answer for the common path, on which no layer has a link; None for others."""
    if not path.startswith("/") or "/../" in f"{path}/":
        return None
    upper = rooted.look_plain(_real(layers.upper) + path) if layers.upper else -errno.ENOENT
    if not _is_plain(upper):
        return None
    for layer in layers.lower:
        found = rooted.look_plain(_real(layer) + path)
        if found >= 0:
            mode = os.fstat(found).st_mode
            os.close(found)
            return not stat.S_ISCHR(mode)  # a whiteout is a character device
        if not _is_plain(found):
            return None
    return False


def _is_plain(found: int) -> bool:
    if found >= 0:
        os.close(found)
    return found >= 0 or found in (-errno.ENOENT, -errno.ENOTDIR)


@lru_cache(4096)
def _real(layer: str) -> str:
    """The node's own way to a layer, which may have links: of a data root that was moved."""
    return os.path.realpath(layer)


def in_upper(place: str, layers: Layers) -> bool:
    """Whether the container's own layer holds something at a resolved path."""
    with _looked(layers.upper, place) as found:
        return found >= 0


def resolve(path: str, layers: Layers, *, follow: bool = True) -> str:
    """The path without the symbolic links that the layers show on the way.

    What no layer has stays as it is, and so does everything if the links have no end.
    """
    left = _parts(path)[::-1]
    done: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        target = _target("/" + "/".join(done), layers) if left or follow else ""
        if target:
            links += 1
            if links > MAX_LINKS or len(left) > MAX_PARTS:
                return path
            done = [] if target.startswith("/") else done[:-1]
            left += _parts(target)[::-1]
    return "/" + "/".join(done)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part and part != "."]


def _target(place: str, layers: Layers) -> str:
    """Where the link at `place` leads, by the topmost layer that has something there; "" for no link."""
    for layer in (layers.upper, *layers.lower):
        with _looked(layer, place) as found:
            if found < 0:
                continue
            mode = os.fstat(found).st_mode
            if stat.S_ISLNK(mode):
                return os.readlink("", dir_fd=found)
            if not stat.S_ISCHR(mode):  # what was deleted a moment ago may have been the way then
                return ""
    return ""


@contextmanager
def _looked(layer: str, place: str) -> Iterator[int]:
    """A descriptor of what a layer has at `place`, itself, even if it is a link; -1 for nothing."""
    found = -1
    with suppress(OSError):
        found = _look(layer, place) if layer else -1
    try:
        yield found
    finally:
        if found >= 0:
            os.close(found)


def _look(layer: str, place: str) -> int:
    root = rooted.folder(layer)
    try:
        return rooted.look(root, place, follow=False)
    finally:
        os.close(root)
