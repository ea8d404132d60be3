"""The sensor's records: bytes of the ring buffers to observations. Pure, and bounded by its input.

The layouts are those of `sensor/events.h`; a test compares both through the BTF of the built object.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

from keelwatch.model.observation import KINDS, NAMESPACES, Observation

CALLS: tuple[str, ...] = (
    "",
    *("execve", "execveat"),
    *("open", "creat", "openat", "openat2", "open_by_handle_at"),
    *("rename", "renameat", "renameat2", "link", "linkat"),
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "unlink", "unlinkat"),
    *("setns", "unshare", "mount", "move_mount", "pivot_root"),
    *("ptrace", "process_vm_writev", "init_module", "finit_module"),
    *("clone", "clone3", "fork", "vfork", "exit"),
)
"""System call names; the position is `enum kw_call`."""
PHASES = ("run", "setup")
SOURCES = ("", "kernel", "user")
VISIT_DIRECTORY = 2
TEXT_BASE, TEXT_OLD_BASE = 1, 3

HEAD = struct.Struct("<QqQQQ8IHHBBBB5HH4x32s16s")
FILE = struct.Struct("<QQqqIIIiBBBB4x")
EXEC_TAIL = struct.Struct("<QI4x")
FORK_TAIL = struct.Struct("<QII")
EXIT_TAIL = struct.Struct("<i4x")
CALL_TAIL = struct.Struct("<qI4x")
SIZE = struct.Struct("<I")

AFTER_HEAD = HEAD.size
AFTER_FILE = HEAD.size + FILE.size

NO_CONTAINER = bytes(32)
UNSET = 0xFFFFFFFF

Texts = list[bytes]
Reader = Callable[[Observation, memoryview, Texts], None]


def decode(data: bytes | memoryview) -> tuple[list[Observation], int]:
    """Return the observations in `data` ([u32 size][record] …) and how many records made no sense."""
    view = memoryview(data)
    found: list[Observation] = []
    errors = at = 0
    while at < len(view):
        if len(view) - at < SIZE.size:
            return found, errors + 1
        (size,) = SIZE.unpack_from(view, at)
        at += SIZE.size
        if size > len(view) - at:
            return found, errors + 1
        try:
            observation = decode_record(view[at : at + size])
        except (ValueError, struct.error, IndexError):
            errors += 1
        else:
            if observation is not None:
                found.append(observation)
        at += size
    return found, errors


def decode_record(record: memoryview) -> Observation | None:
    """Return the observation of one record, None if it is not about a container after all.

    Raises ValueError, struct.error or IndexError when the bytes make no sense.
    """
    (
        time, result, start, parent_start, cgroup_id,
        pid, tid, ppid, uid, euid, gid, loginuid, mount_ns,
        kind, call, phase, path_source, old_path_source, truncated,
        text0, text1, text2, text3, text4, visit,
        container, comm,
    ) = HEAD.unpack_from(record)  # fmt: skip
    name = KINDS[_position(kind)]
    observation = Observation(
        name,
        time,
        CALLS[call],
        result,
        pid,
        tid,
        start,
        ppid,
        parent_start,
        uid,
        euid,
        gid,
        -1 if loginuid == UNSET else loginuid,
        _name(comm),
        _container(container),
        cgroup_id,
        mount_ns,
        PHASES[phase],
        path_source=SOURCES[path_source],
        old_path_source=SOURCES[old_path_source],
        truncated=truncated != 0,
    )
    fixed, reader = _READERS[kind - 1]
    texts = _cut(record, fixed, (text0, text1, text2, text3, text4))
    if visit == VISIT_DIRECTORY and not texts[TEXT_BASE] and not texts[TEXT_OLD_BASE]:
        # A host process that stands in a container's directory, but named its paths from the root.
        return None
    observation.visited = visit != 0
    reader(observation, record, texts)
    return observation


def _position(kind: int) -> int:
    if kind == 0:
        raise ValueError("kind 0 is for losses only")
    return kind - 1


def _cut(record: memoryview, at: int, lengths: tuple[int, ...]) -> Texts:
    """Return the texts behind the fixed part; ValueError unless they fill the record exactly."""
    texts = []
    for length in lengths:
        texts.append(bytes(record[at : at + length]))
        at += length
    if at != len(record):
        raise ValueError(f"texts end at {at}, the record at {len(record)}")
    return texts


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


@lru_cache(maxsize=4096)
def _container(raw: bytes) -> str:
    return "" if raw == NO_CONTAINER else raw.hex()


@lru_cache(maxsize=4096)
def _name(raw: bytes) -> str:
    return _text(raw.partition(b"\0")[0])


def join_path(base: str, path: str) -> str:
    """Return `path` as seen from the directory `base`, without `.`, `..` and empty parts.

    Only the text is looked at: where a part is a symbolic link, `..` leads elsewhere in the kernel.
    """
    if not path and not base:
        return ""
    whole = path if path.startswith("/") else f"{base}/{path}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _put_file(observation: Observation, record: memoryview) -> None:
    (
        observation.inode, observation.size, observation.ctime, observation.mtime,
        observation.device, observation.mode, observation.flags, observation.descriptor,
        upper, overlay, memfd, created,
    ) = FILE.unpack_from(record, AFTER_HEAD)  # fmt: skip
    observation.upper = upper != 0
    observation.overlay = overlay != 0
    observation.memfd = memfd != 0
    observation.created = created != 0


def _put_path(observation: Observation, texts: Texts) -> None:
    """Text 0 and, for the caller's paths, the base in text 1."""
    if observation.path_source == "kernel":
        observation.path = _text(texts[0])
    else:
        observation.path = join_path(_text(texts[1]), _text(texts[0]))


def _read_exec(observation: Observation, record: memoryview, texts: Texts) -> None:
    _put_file(observation, record)
    observation.capabilities, observation.tty = EXEC_TAIL.unpack_from(record, AFTER_FILE)
    if observation.result < 0:
        _put_path(observation, texts)
        return
    observation.path = _text(texts[0])
    observation.cwd = _text(texts[1])
    if texts[2]:
        observation.script = join_path(observation.cwd, _text(texts[2]))
    observation.argv = _arguments(texts[3])
    observation.environment = _environment(texts[4])


def _arguments(raw: bytes) -> tuple[str, ...]:
    if not raw:
        return ()
    return tuple(_text(raw.removesuffix(b"\0")).split("\0"))


def _environment(raw: bytes) -> dict[str, str]:
    pairs = (_text(part).partition("=") for part in raw.split(b"\0") if part)
    return {name: value for name, _, value in pairs}


def _read_fork(observation: Observation, record: memoryview, _: Texts) -> None:
    observation.child_start, observation.child_pid, observation.flags = FORK_TAIL.unpack_from(
        record, AFTER_HEAD
    )


def _read_exit(observation: Observation, record: memoryview, _: Texts) -> None:
    (observation.exit_code,) = EXIT_TAIL.unpack_from(record, AFTER_HEAD)


def _read_file(observation: Observation, record: memoryview, texts: Texts) -> None:
    _put_file(observation, record)
    _put_path(observation, texts)


def _read_two_paths(observation: Observation, record: memoryview, texts: Texts) -> None:
    _read_file(observation, record, texts)
    observation.old_path = join_path(_text(texts[3]), _text(texts[2]))


def _put_call(observation: Observation, record: memoryview) -> None:
    _put_file(observation, record)
    observation.request, observation.target_pid = CALL_TAIL.unpack_from(record, AFTER_FILE)


def _read_call(observation: Observation, record: memoryview, _: Texts) -> None:
    _put_call(observation, record)


def _read_setns(observation: Observation, record: memoryview, _: Texts) -> None:
    _put_call(observation, record)
    kind = NAMESPACES.get(observation.flags)
    if observation.inode and kind:
        observation.path = f"{kind}:[{observation.inode}]"


def _read_mount(observation: Observation, record: memoryview, texts: Texts) -> None:
    _put_call(observation, record)
    _put_path(observation, texts)
    observation.source = _text(texts[2])
    observation.filesystem = _text(texts[3])


def _read_module(observation: Observation, record: memoryview, texts: Texts) -> None:
    _put_call(observation, record)
    observation.path = _text(texts[0])
    observation.name = _name(texts[2])


_FILE_END = AFTER_FILE
_CALL_END = AFTER_FILE + CALL_TAIL.size
_READERS: tuple[tuple[int, Reader], ...] = (
    (AFTER_FILE + EXEC_TAIL.size, _read_exec),
    (AFTER_HEAD + FORK_TAIL.size, _read_fork),
    (AFTER_HEAD + EXIT_TAIL.size, _read_exit),
    (_FILE_END, _read_file),  # open
    (_FILE_END, _read_file),  # inherit
    (_FILE_END, _read_two_paths),  # rename
    (_FILE_END, _read_two_paths),  # link
    (_FILE_END, _read_file),  # chmod
    (_FILE_END, _read_file),  # unlink
    (_CALL_END, _read_setns),
    (_CALL_END, _read_call),  # unshare
    (_CALL_END, _read_mount),
    (_CALL_END, _read_call),  # ptrace
    (_CALL_END, _read_module),
)
"""By kind: where the texts begin, and what reads the rest."""
