"""`proc.*`: who did it, and its ancestors. Names and meanings are Falco's."""

from __future__ import annotations

from collections.abc import Callable

from keelwatch.detect.fields.base import Field, FieldValue, Takes, Type, kinds, unsupplied
from keelwatch.model.event import Event
from keelwatch.model.process import Process

EXEC = kinds("exec")


def name(process: Process) -> str | None:
    """The command name: at most 15 bytes, and the process can change it."""
    return process.comm or None


def exe(process: Process) -> str | None:
    """argv[0], which whoever starts a program can choose."""
    return process.argv[0] if process.argv else None


def exepath(process: Process) -> str | None:
    """The file that runs, as the kernel resolved it."""
    return process.exe or None


def args(process: Process) -> str:
    """The arguments behind argv[0]; an empty string when there are none."""
    return " ".join(process.argv[1:])


def cmdline(process: Process) -> str:
    """The name and the arguments: argv[0] may be a path, and rules are written for the name."""
    return " ".join((process.comm, *process.argv[1:]))


def exeline(process: Process) -> str:
    """All of argv."""
    return process.cmdline


def environment(process: Process) -> str | None:
    """The allowed part of the environment as `A=1 B=2`."""
    return " ".join(f"{key}={value}" for key, value in process.environment.items()) or None


def _of_parent(read: Callable[[Process], str | None]) -> Callable[[Event, object], FieldValue]:
    def of_parent(event: Event, _argument: object) -> FieldValue:
        parent = event.process.parent
        return None if parent is None else read(parent)

    return of_parent


def _of_process(read: Callable[[Process], FieldValue]) -> Callable[[Event, object], FieldValue]:
    return lambda event, _argument: read(event.process)


def _of_ancestors(read: Callable[[Process], str | None]) -> Callable[[Event, object], FieldValue]:
    """With an index one ancestor (0 is the process itself, 1 its parent), else all of them."""

    def of_ancestors(event: Event, index: object) -> FieldValue:
        if index is None:
            return tuple(value for at in event.process.ancestors() if (value := read(at)) is not None)
        return _nth(event.process, index, read)

    return of_ancestors


def _nth(process: Process, index: object, read: Callable[[Process], str | None]) -> str | None:
    at: Process | None = process
    for _ in range(int(str(index))):
        if at is None:
            return None
        at = at.parent
    return None if at is None else read(at)


def _variable(event: Event, key: object) -> FieldValue:
    if key is None:
        return environment(event.process)
    return event.process.environment.get(str(key))


def _duration(event: Event, _argument: object) -> int | None:
    started = event.process.exec_time
    return max(event.time - started, 0) if started else None


def _since_change(event: Event, _argument: object) -> int | None:
    return max(event.time - event.ctime, 0) if event.ctime else None


def _ancestry(field: str, doc: str, read: Callable[[Process], str | None]) -> Field:
    text = f"{doc} of the n-th ancestor (1 is the parent); without an index, of any ancestor."
    return Field(field, Type.STRINGS, text, read=_of_ancestors(read), takes=Takes.INDEX, optional=True)


FIELDS: tuple[Field, ...] = (
    Field(
        "proc.name", Type.STRING, "The command name (15 bytes).", "process.comm", column="comm", kernel=True
    ),
    Field("proc.exe", Type.STRING, "argv[0].", read=_of_process(exe)),
    Field(
        "proc.exepath",
        Type.STRING,
        "The file that runs, resolved by the kernel.",
        "process.exe",
        column="exe",
        kernel=True,
    ),
    Field("proc.args", Type.STRING, "The arguments without argv[0].", read=_of_process(args)),
    Field("proc.cmdline", Type.STRING, "The command name and its arguments.", read=_of_process(cmdline)),
    Field("proc.exeline", Type.STRING, "argv joined by blanks.", read=_of_process(exeline), column="cmdline"),
    Field(
        "proc.cmdnargs", Type.NUMBER, "How many arguments.", read=lambda e, _: max(len(e.process.argv) - 1, 0)
    ),
    Field("proc.cwd", Type.STRING, "The working directory.", "process.cwd", column="cwd"),
    Field("proc.pid", Type.NUMBER, "The process id on the node.", "process.pid", column="pid"),
    Field("proc.ppid", Type.NUMBER, "The parent's process id on the node.", "process.ppid", column="ppid"),
    Field("proc.pname", Type.STRING, "The parent's command name.", read=_of_parent(name)),
    Field("proc.pexe", Type.STRING, "The parent's argv[0].", read=_of_parent(exe)),
    Field("proc.pexepath", Type.STRING, "The file that the parent runs.", read=_of_parent(exepath)),
    Field("proc.pcmdline", Type.STRING, "The parent's name and arguments.", read=_of_parent(cmdline)),
    _ancestry("proc.aname", "The command name", name),
    _ancestry("proc.aexe", "argv[0]", exe),
    _ancestry("proc.aexepath", "The file run", exepath),
    _ancestry("proc.acmdline", "Name and arguments", cmdline),
    Field(
        "proc.apid",
        Type.NUMBER,
        "The process id of the n-th ancestor.",
        takes=Takes.INDEX,
        read=lambda event, index: _ancestor_pid(event.process, index),
    ),
    Field(
        "proc.tty",
        Type.NUMBER,
        "The controlling terminal's device number; 0 for none.",
        "process.tty",
        column="tty",
    ),
    Field(
        "proc.env",
        Type.STRING,
        "The allowed environment variables as `A=1 B=2`, or one of them.",
        read=_variable,
        takes=Takes.KEY,
        optional=True,
    ),
    Field("proc.duration", Type.NUMBER, "Nanoseconds since the process ran its program.", read=_duration),
    Field(
        "proc.is_exe_upper_layer",
        Type.BOOL,
        "Whether the program lies in the overlay's upper layer.",
        "process.upper",
        column="upper",
        kernel=True,
    ),
    Field(
        "proc.is_exe_from_memfd",
        Type.BOOL,
        "Whether the program was run from memory (memfd_create).",
        "process.memfd",
        column="memfd",
        kernel=True,
    ),
    Field("proc.exe_ino", Type.NUMBER, "The inode of the program run.", "inode", column="inode", kinds=EXEC),
    Field("proc.exe_ino.ctime", Type.NUMBER, "When the program's inode changed, in ns.", "ctime", kinds=EXEC),
    Field(
        "proc.exe_ino.mtime", Type.NUMBER, "When the program's content changed, in ns.", "mtime", kinds=EXEC
    ),
    Field(
        "proc.exe_ino.ctime_duration_proc_start",
        Type.NUMBER,
        "Nanoseconds between the program's last change and its start.",
        read=_since_change,
        kinds=EXEC,
    ),
    *unsupplied(
        "the event model does not carry it yet",
        [
            ("proc.vpid", Type.NUMBER, "The process id in its own namespace."),
            ("proc.pvpid", Type.NUMBER, "The parent's process id in its own namespace."),
            ("proc.sid", Type.NUMBER, "The session id."),
            ("proc.sname", Type.STRING, "The session leader's name."),
            ("proc.sexe", Type.STRING, "The session leader's argv[0]."),
            ("proc.sexepath", Type.STRING, "The session leader's program."),
            ("proc.sid.exe", Type.STRING, "The session leader's argv[0]."),
            ("proc.vpgid", Type.NUMBER, "The process group."),
            ("proc.vpgid.name", Type.STRING, "The process group leader's name."),
            ("proc.vpgid.exe", Type.STRING, "The process group leader's argv[0]."),
            ("proc.vpgid.exepath", Type.STRING, "The process group leader's program."),
            ("proc.is_vpgid_leader", Type.BOOL, "Whether the process leads its group."),
            ("proc.is_sid_leader", Type.BOOL, "Whether the process leads its session."),
            ("proc.pgid", Type.NUMBER, "The process group on the node."),
            ("proc.loginshellid", Type.NUMBER, "The oldest shell among the ancestors."),
            ("proc.ppid.duration", Type.NUMBER, "How long the parent runs."),
            ("proc.pid.ts", Type.NUMBER, "When the process started."),
            ("proc.ppid.ts", Type.NUMBER, "When the parent started."),
            ("proc.is_exe_writable", Type.BOOL, "Whether its user may change the program."),
            ("proc.is_exe_lower_layer", Type.BOOL, "Whether the program lies in a lower layer."),
            ("proc.nthreads", Type.NUMBER, "How many threads."),
            ("proc.vmsize", Type.NUMBER, "Virtual memory."),
            ("proc.vmrss", Type.NUMBER, "Resident memory."),
            ("proc.stdin.name", Type.STRING, "The standard input's name."),
            ("proc.stdin.type", Type.STRING, "The standard input's type."),
            ("proc.stdout.type", Type.STRING, "The standard output's type."),
            ("proc.is_container_healthcheck", Type.BOOL, "Whether a health check runs it."),
            ("proc.is_container_liveness_probe", Type.BOOL, "Whether a liveness probe runs it."),
            ("proc.is_container_readiness_probe", Type.BOOL, "Whether a readiness probe runs it."),
        ],
    ),
)


def _ancestor_pid(process: Process, index: object) -> int | None:
    text = _nth(process, index, lambda at: str(at.pid))
    return None if text is None else int(text)
