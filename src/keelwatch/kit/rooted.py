"""Opens files below a folder as if it were the root, so that no link leads out of it. openat2(2)."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

SYS_OPENAT2 = 437
"""The same on every architecture."""
AT_FDCWD = -100
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10
ATTEMPTS = 8
"""A rename or mount anywhere during the walk makes the kernel give up; then it is tried again."""
_LOOK = os.O_PATH | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def look(root: int, path: str, *, follow: bool = True) -> int:
    """Return an O_PATH descriptor of `path` below the folder `root`, or raise OSError.

    Symbolic links are followed as a process with that root would; the last part only if `follow`.
    Kernels before 5.6, and sandboxes that hide openat2, follow none: then ELOOP.
    """
    flags = _LOOK | (0 if follow else os.O_NOFOLLOW)
    try:
        return _openat2(root, path, flags)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _walk(root, path)


def look_plain(path: str) -> int:
    """Return an O_PATH descriptor of `path`, or -errno: ELOOP if any part but the last is a link.

    One system call and no exception, for where many paths are looked at.
    """
    return _call(AT_FDCWD, os.fsencode(path), _LOOK | os.O_NOFOLLOW, RESOLVE_NO_SYMLINKS)


def open_regular(root: int, path: str) -> int:
    """Open the regular file `path` below `root` for reading, or raise OSError.

    Anything else is not even opened: opening a device or a pipe may have effects, or wait.
    """
    seen = look(root, path)
    try:
        if not stat.S_ISREG(os.fstat(seen).st_mode):
            raise OSError(errno.EINVAL, "no regular file", path)
        return os.open(f"/proc/self/fd/{seen}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(seen)


def folder(path: str) -> int:
    """An O_PATH descriptor of a folder, or OSError."""
    return os.open(path, _LOOK | os.O_DIRECTORY)


def _openat2(root: int, path: str, flags: int) -> int:
    found = _call(root, os.fsencode(path), flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    if found < 0:
        raise OSError(-found, os.strerror(-found), path)
    return found


def _call(folder: int, path: bytes, flags: int, resolve: int) -> int:
    if b"\0" in path:
        return -errno.EINVAL
    how = _How(flags, 0, resolve)
    for _ in range(ATTEMPTS):
        found: int = _libc.syscall(
            ctypes.c_long(SYS_OPENAT2), ctypes.c_int(folder), path, ctypes.byref(how), ctypes.c_size_t(24)
        )
        if found >= 0:
            return found
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    return -ctypes.get_errno()


def _walk(root: int, path: str) -> int:
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts:
        raise OSError(errno.EXDEV, "a path that leads upwards", path)
    at = os.dup(root)
    for number, part in enumerate(parts, 1):
        at = _step(at, part)
        if number < len(parts) and stat.S_ISLNK(os.fstat(at).st_mode):
            os.close(at)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return at


def _step(at: int, part: str) -> int:
    try:
        return os.open(part, _LOOK | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
