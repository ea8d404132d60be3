"""What the sensor saw, decoded but not yet enriched: one record of the kernel's ring buffer.

The C side of this contract is `sensor/events.h`; `decode/sensor.py` turns bytes into these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS: tuple[str, ...] = (
    "exec",  # a program image was replaced (or, result < 0, an attempt failed)
    "fork",  # a new process (not thread)
    "exit",  # the last thread of a process ended
    "open",  # a regular file was opened for writing or created
    "inherit",  # at exec, a regular file stood open for writing under an inherited descriptor
    "rename",  # old_path -> path
    "link",  # old_path (existing) -> path (new hard link)
    "chmod",  # exec or set-id bits in mode
    "unlink",
    "setns",
    "unshare",
    "mount",
    "ptrace",
    "module",  # init_module, finit_module
)
"""Event classes. The position plus one is the number in `enum kw_kind` of events.h."""

NAMESPACES: dict[int, str] = {
    0x00000080: "time",
    0x00020000: "mnt",
    0x02000000: "cgroup",
    0x04000000: "uts",
    0x08000000: "ipc",
    0x10000000: "user",
    0x20000000: "pid",
    0x40000000: "net",
}
"""Kinds of namespaces by their flag (CLONE_NEW* of sched.h), as in `flags` of setns and unshare."""


@dataclass(slots=True)
class Observation:
    """One kernel record. Times are nanoseconds since boot (CLOCK_BOOTTIME); text is escaped UTF-8.

    Fields that a kind does not use keep their default.
    """

    kind: str
    time: int
    syscall: str  # system call name, as Falco's evt.type: "execve", "openat", …
    result: int  # the call's return value; negative errno on failure
    pid: int  # thread group id
    tid: int
    start: int  # start time of the thread group leader
    ppid: int
    parent_start: int
    uid: int
    euid: int
    gid: int
    loginuid: int  # -1 when unset
    comm: str
    container_id: str  # 64 hex digits; "" for the host
    cgroup_id: int
    mount_ns: int  # inode number of the process's mount namespace
    phase: str  # "setup": the runtime at work before the entrypoint's exec; "run" afterwards
    # paths
    path: str = ""
    path_source: str = ""  # "kernel" | "user" | ""
    old_path: str = ""
    old_path_source: str = ""
    truncated: bool = False
    # the file behind `path`, where the kernel had an object for it
    device: int = 0  # st_dev of its superblock, as stat(2) encodes it
    inode: int = 0
    mode: int = 0
    size: int = 0
    ctime: int = 0  # ns since the epoch
    mtime: int = 0
    flags: int = 0  # open: f_flags; mount: flags; setns/unshare: CLONE_NEW* bits; rename: flags
    upper: bool = False  # lies in an overlay's upper layer
    overlay: bool = False  # lies on overlayfs
    memfd: bool = False
    created: bool = False  # this open made the file
    visited: bool = False  # a host process's call by path that started in the container's files at `device`
    descriptor: int = -1  # inherit: the descriptor's number; setns, finit_module: the fd argument
    # exec
    argv: tuple[str, ...] = ()
    cwd: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    script: str = ""  # path of the script when `path` is its interpreter
    tty: int = 0
    capabilities: int = 0  # effective set
    # fork
    child_pid: int = 0
    child_start: int = 0
    # ptrace, setns
    target_pid: int = 0
    request: int = 0  # ptrace(2) request
    # mount
    source: str = ""
    filesystem: str = ""
    # module
    name: str = ""
    exit_code: int = 0
