"""An event: something that happened in the kernel, with who did it and whose file it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from keelwatch.model.identity import Identity
from keelwatch.model.process import Process


@dataclass(slots=True, eq=False)
class Story:
    """How a file came to be run: who wrote it, who made it executable, who ran it.

    Each step is `None` where it is not known; `sentence` says so in words.
    """

    sentence: str = ""
    path: str = ""
    writer: dict[str, Any] | None = None  # Process.summary() + time, path, how
    writer_ancestors: list[dict[str, Any]] = field(default_factory=list)
    chmod: dict[str, Any] | None = None
    executor: dict[str, Any] | None = None
    content: str = ""  # "image": equals the image's file; "new"; "changed"; "gone"; "" unknown

    def columns(self) -> dict[str, Any]:
        """The story as it is stored and shown."""
        return {
            "sentence": self.sentence,
            "path": self.path,
            "writer": self.writer,
            "writer_ancestors": self.writer_ancestors,
            "chmod": self.chmod,
            "executor": self.executor,
            "content": self.content,
        }


@dataclass(slots=True, eq=False)
class Event:
    """An enriched observation: rules read it, the store keeps it.

    `time` is nanoseconds since the epoch (UTC). `identity` is who acted, `file_identity` whose file
    it was when that is another container (else `None`).
    """

    time: int
    kind: str
    type: str  # the system call's name
    result: int
    process: Process
    identity: Identity
    phase: str = "run"
    tid: int = 0
    file_identity: Identity | None = None
    path: str = ""
    path_source: str = ""
    old_path: str = ""
    old_path_source: str = ""
    truncated: bool = False
    device: int = 0
    inode: int = 0
    mode: int = 0
    size: int = 0
    ctime: int = 0
    mtime: int = 0
    flags: int = 0
    upper: bool = False
    memfd: bool = False
    created: bool = False
    descriptor: int = -1
    sha256: str = ""
    drift: str = ""  # "new" | "changed" | "image" | "volume" | "gone" | "unknown" | "" (no need)
    target: Process | None = None  # ptrace, setns
    request: int = 0
    source: str = ""
    filesystem: str = ""
    name: str = ""
    exit_code: int | None = None  # as wait(2) gives it; None: no end, or one that was not seen
    story: Story | None = None
    left_out: int = 0  # alike and before this one, not stored (agent/thinning.py)


@dataclass(slots=True)
class Alert:
    """A rule that fired on an event. `count` is how many equal firings this alert stands for."""

    id: str
    rule: str
    priority: str
    tags: tuple[str, ...]
    output: str
    event: Event
    count: int = 1
