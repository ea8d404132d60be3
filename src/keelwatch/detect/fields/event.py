"""`evt.*`: what happened. Names and meanings are Falco's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime

from keelwatch.detect.fields import flags
from keelwatch.detect.fields.base import Field, FieldValue, Takes, Type, kinds, unsupplied
from keelwatch.model.event import Event

TYPES: dict[str, tuple[str, ...]] = {
    "exec": ("execve", "execveat"),
    "open": ("open", "openat", "openat2", "creat", "open_by_handle_at"),
    "inherit": ("inherit",),
    "rename": ("rename", "renameat", "renameat2"),
    "link": ("link", "linkat"),
    "chmod": ("chmod", "fchmod", "fchmodat", "fchmodat2"),
    "unlink": ("unlink", "unlinkat"),
    "setns": ("setns",),
    "unshare": ("unshare",),
    "mount": ("mount",),
    "ptrace": ("ptrace",),
    "module": ("init_module", "finit_module"),
}
"""The event types (`evt.type`) of each kind of event. One type alone stands for the kind.

Rules do not see forks, which only move the process tree, nor the ends of trees.
"""

ANY = frozenset({"syscall", "k8s_audit"})
"""Sources: fields that events of all of them have."""
OPENED = kinds("open", "inherit")


def event_type(event: Event, _argument: object = None) -> str:
    """The type that stands for the kind: `inherit` is not a system call."""
    return TYPES[event.kind][0]


def result_name(event: Event, _argument: object = None) -> str:
    """SUCCESS, or the name of the error."""
    if event.result >= 0:
        return "SUCCESS"
    return errno.errorcode.get(-event.result, str(event.result))


def time_of_day(event: Event, _argument: object) -> str:
    """The time with nanoseconds, UTC."""
    at = datetime.fromtimestamp(event.time // 1_000_000_000, UTC)
    return f"{at:%H:%M:%S}.{event.time % 1_000_000_000:09d}"


def _iso8601(event: Event, _argument: object) -> str:
    at = datetime.fromtimestamp(event.time // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{event.time % 1_000_000_000:09d}Z"


def _opened_for(*modes: int) -> Callable[[Event, object], bool]:
    def read(event: Event, _argument: object) -> bool:
        return event.flags & os.O_ACCMODE in modes

    return read


def _flags(event: Event, _argument: object = None) -> str | None:
    match event.kind:
        case "open" | "inherit":
            return flags.open_flags(event.flags)
        case "unshare":
            return flags.joined(event.flags, flags.CLONE_FLAGS)
        case "mount":
            return flags.joined(event.flags, flags.MOUNT_FLAGS)
        case "rename":
            return flags.joined(event.flags, flags.RENAME_FLAGS)
    return None


def _mode(event: Event, _argument: object = None) -> str:
    return flags.joined(event.mode, flags.MODE_BITS)


def _request(event: Event, _argument: object = None) -> str:
    return flags.PTRACE_REQUESTS.get(event.request, str(event.request))


def _created_mode(event: Event, argument: object = None) -> str | None:
    return _mode(event, argument) if event.kind == "chmod" or event.created else None


ARGUMENTS: tuple[Field, ...] = (
    Field("evt.arg.res", Type.STRING, "The result's name, as `evt.res`.", read=result_name),
    Field(
        "evt.arg.flags",
        Type.STRING,
        "Flags of open, unshare, mount or rename as `O_RDWR|O_CREAT`.",
        read=_flags,
        kinds=kinds("open", "inherit", "unshare", "mount", "rename"),
    ),
    Field(
        "evt.arg.mode",
        Type.STRING,
        "The file's mode after chmod, or at its creation, as `S_ISUID|S_IXUSR`.",
        read=_created_mode,
        kinds=kinds("chmod", "open"),
    ),
    Field(
        "evt.arg.name",
        Type.STRING,
        "The path opened or unlinked.",
        "path",
        kinds=kinds("open", "inherit", "unlink"),
    ),
    Field("evt.arg.path", Type.STRING, "The path unlinked.", "path", column="path", kinds=kinds("unlink")),
    Field("evt.arg.filename", Type.STRING, "The path run or chmod-ed.", "path", kinds=kinds("exec", "chmod")),
    Field(
        "evt.arg.oldpath",
        Type.STRING,
        "The old name of a rename or link.",
        "old_path",
        kinds=kinds("rename", "link"),
    ),
    Field(
        "evt.arg.newpath",
        Type.STRING,
        "The new name of a rename or link.",
        "path",
        kinds=kinds("rename", "link"),
    ),
    Field("evt.arg.request", Type.STRING, "The request of ptrace.", read=_request, kinds=kinds("ptrace")),
    Field("evt.arg.dev", Type.STRING, "The source of a mount.", "source", kinds=kinds("mount")),
    Field("evt.arg.dir", Type.STRING, "Where a file system is mounted.", "path", kinds=kinds("mount")),
    Field(
        "evt.arg.type", Type.STRING, "The file system type of a mount.", "filesystem", kinds=kinds("mount")
    ),
    Field(
        "evt.arg.nstype",
        Type.STRING,
        "The kinds of namespace of setns, as `CLONE_NEWNS|CLONE_NEWPID`.",
        read=lambda event, _: flags.joined(event.flags, flags.CLONE_FLAGS),
        kinds=kinds("setns"),
    ),
    Field(
        "evt.arg.pid",
        Type.STRING,
        "The process traced by ptrace.",
        read=lambda event, _: str(event.target.pid) if event.target else None,
        kinds=kinds("ptrace"),
    ),
    Field(
        "evt.arg.exe",
        Type.STRING,
        "argv[0] of the program run.",
        read=lambda e, _: _exe(e),
        kinds=kinds("exec"),
    ),
)
_BY_ARGUMENT = {field.name.removeprefix("evt.arg."): field for field in ARGUMENTS}


def _exe(event: Event) -> str | None:
    return event.process.argv[0] if event.process.argv else None


def argument(event: Event, name: object) -> FieldValue:
    """`evt.arg[name]`: the argument of that name, where the event has it."""
    field = _BY_ARGUMENT.get(str(name))
    return field.value(event) if field else None


def arguments(event: Event, _argument: object = None) -> str:
    """All arguments that the event has, as `name=value name=value`."""
    found = ((name, field.value(event)) for name, field in _BY_ARGUMENT.items())
    return " ".join(f"{name}={value}" for name, value in found if value is not None)


FIELDS: tuple[Field, ...] = (
    Field(
        "evt.num",
        Type.NUMBER,
        "The event's time, as a number that is never 0: rules use `evt.num=0` for *never*.",
        "time",
    ),
    Field(
        "evt.type",
        Type.STRING,
        "The system call's name, or `inherit`.",
        "type",
        read=event_type,
        special=frozenset(kind for kind, types in TYPES.items() if len(types) == 1),
        column="type",
        kernel=True,
    ),
    Field(
        "evt.dir", Type.STRING, "Always `<`: events are made when the call returns.", read=lambda _e, _a: "<"
    ),
    Field("evt.category", Type.STRING, "`process` or `file`.", read=lambda event, _: _category(event)),
    Field(
        "evt.time",
        Type.STRING,
        "The time of day, with nanoseconds, UTC.",
        read=time_of_day,
        sources=ANY,
    ),
    Field(
        "evt.time.iso8601",
        Type.STRING,
        "Date and time, with nanoseconds, UTC.",
        read=_iso8601,
        sources=ANY,
    ),
    Field(
        "evt.datetime",
        Type.STRING,
        "Date and time, with nanoseconds, UTC.",
        read=_iso8601,
        sources=ANY,
    ),
    Field("evt.rawtime", Type.NUMBER, "Nanoseconds since the epoch.", "time", column="time", sources=ANY),
    Field(
        "evt.rawres",
        Type.NUMBER,
        "The call's result; a negative errno on failure.",
        "result",
        column="result",
        kernel=True,
    ),
    Field("evt.res", Type.STRING, "`SUCCESS`, or the name of the error, as `EPERM`.", read=result_name),
    Field(
        "evt.failed",
        Type.BOOL,
        "Whether the call failed.",
        read=lambda event, _: event.result < 0,
        kernel=True,
    ),
    Field(
        "evt.is_open_write",
        Type.BOOL,
        "Whether a file was opened for writing.",
        read=_opened_for(os.O_WRONLY, os.O_RDWR),
        kernel=True,
        kinds=OPENED,
    ),
    Field(
        "evt.is_open_read",
        Type.BOOL,
        "Whether a file was opened for reading (read-only opens are not observed).",
        caveat="files opened only for reading are not observed; it can fire on opens for reading and writing",
        read=_opened_for(os.O_RDONLY, os.O_RDWR),
        kernel=True,
        kinds=OPENED,
    ),
    Field(
        "evt.is_open_create",
        Type.BOOL,
        "Whether the open made the file.",
        "created",
        column="created",
        kinds=OPENED,
    ),
    Field("evt.args", Type.STRING, "All arguments as `name=value`.", read=arguments),
    Field(
        "evt.arg",
        Type.STRING,
        "The argument of that name, as `evt.arg.name`.",
        read=argument,
        takes=Takes.KEY,
    ),
    *ARGUMENTS,
    *unsupplied(
        "the sensor does not observe the calls that have it",
        [
            ("evt.arg.uid", Type.STRING, "The user of setuid."),
            ("evt.arg.target", Type.STRING, "The target of a symbolic link."),
            ("evt.arg.linkpath", Type.STRING, "The path of a symbolic link."),
            ("evt.arg.domain", Type.STRING, "The domain of a socket."),
            ("evt.arg.cmd", Type.STRING, "The command of bpf or quotactl."),
            ("evt.arg.fd", Type.STRING, "The descriptor argument."),
            ("evt.arg.res_or_fd", Type.STRING, "The result of bpf."),
            ("evt.arg.data", Type.STRING, "Bytes read or written."),
            ("evt.buffer", Type.STRING, "Bytes read or written."),
            ("evt.buflen", Type.NUMBER, "How many bytes were read or written."),
            ("evt.is_open_exec", Type.BOOL, "Whether a file was made executable at its creation."),
            ("evt.is_async", Type.BOOL, "Whether the event is not a system call."),
            ("evt.cpu", Type.NUMBER, "The CPU."),
            ("evt.latency", Type.NUMBER, "How long the call took."),
            ("evt.hostname", Type.STRING, "The node's name."),
            ("evt.source", Type.STRING, "The source of the event."),
        ],
    ),
)


def _category(event: Event) -> str:
    return "file" if event.kind in ("open", "inherit", "rename", "link", "chmod", "unlink") else "process"
