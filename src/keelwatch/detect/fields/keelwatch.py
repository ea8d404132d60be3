"""`kw.*`: what only keelwatch knows: drift, whose file, phases, namespaces, the workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keelwatch.detect.fields import flags
from keelwatch.detect.fields.base import Field, FieldValue, Type, kinds
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.observation import NAMESPACES

EXEC = kinds("exec")
NAMESPACED = kinds("setns", "unshare")
TARGETED = kinds("ptrace", "setns")
MOUNT = kinds("mount")


def _owner(attribute: str) -> Callable[[Event, object], FieldValue]:
    def read(event: Event, _argument: object) -> FieldValue:
        owner: Identity | None = event.file_identity
        return (getattr(owner, attribute) or None) if owner is not None else None

    return read


def _namespaces(event: Event, _argument: object) -> tuple[str, ...]:
    return flags.names(event.flags, NAMESPACES)


def _target_container(event: Event, _argument: object) -> str | None:
    return None if event.target is None else event.target.container_id or "host"


def _target_foreign(event: Event, _argument: object) -> bool | None:
    if event.target is None:
        return None
    return event.target.container_id != event.identity.container_id


def _writer(key: str) -> Callable[[Event, object], FieldValue]:
    def read(event: Event, _argument: object) -> FieldValue:
        writer: dict[str, Any] | None = event.story.writer if event.story else None
        found = writer.get(key) if writer else None
        return str(found) if found else None

    return read


def _subject(event: Event, _argument: object) -> str | None:
    return event.process.script or event.path or None


FIELDS: tuple[Field, ...] = (
    Field(
        "kw.kind",
        Type.STRING,
        "The kind of event, as keelwatch stores it: `exec`, `open`, `rename` …",
        "kind",
        column="kind",
        kernel=True,
    ),
    Field(
        "kw.phase",
        Type.STRING,
        "`setup` while the runtime prepares the container, `run` afterwards.",
        "phase",
        column="phase",
        kernel=True,
    ),
    Field(
        "kw.path",
        Type.STRING,
        "The file of any event: opened, run (the script, where there is one), removed; the new name.",
        "path",
        read=_subject,
        special=EXEC,
    ),
    Field(
        "kw.path.source",
        Type.STRING,
        "`kernel` when the kernel resolved the path, `user` when it is what the program said.",
        "path_source",
        column="path_source",
    ),
    Field(
        "kw.oldpath",
        Type.STRING,
        "The old name of a rename or link.",
        "old_path",
        column="old_path",
        kinds=kinds("rename", "link"),
    ),
    Field(
        "kw.oldpath.source",
        Type.STRING,
        "As `kw.path.source`, for the old name.",
        "old_path_source",
        column="old_path_source",
        kinds=kinds("rename", "link"),
    ),
    Field(
        "kw.truncated", Type.BOOL, "Whether the sensor had to cut a text.", "truncated", column="truncated"
    ),
    Field(
        "kw.drift",
        Type.STRING,
        "How the file compares with the image: `new`, `changed`, `image` (the same), `gone`, `volume`.",
        "drift",
        column="drift",
    ),
    Field("kw.sha256", Type.STRING, "SHA-256 of the program or script run.", "sha256", column="sha256"),
    Field("kw.script", Type.STRING, "The script, when the program run is its interpreter.", "process.script"),
    Field(
        "kw.story",
        Type.STRING,
        "Who wrote the program, made it executable and ran it, in words.",
        read=lambda event, _: event.story.sentence or None if event.story else None,
    ),
    Field("kw.writer.name", Type.STRING, "The command name of the program's writer.", read=_writer("name")),
    Field("kw.writer.exepath", Type.STRING, "The file that the program's writer ran.", read=_writer("exe")),
    Field(
        "kw.writer.cmdline", Type.STRING, "The command line of the program's writer.", read=_writer("cmdline")
    ),
    Field(
        "kw.writer.container.id",
        Type.STRING,
        "The container of the program's writer.",
        read=_writer("container_id"),
    ),
    Field(
        "kw.file.upper",
        Type.BOOL,
        "Whether the file lies in the overlay's upper layer.",
        "upper",
        column="upper",
        kernel=True,
    ),
    Field(
        "kw.file.memfd",
        Type.BOOL,
        "Whether the file is in memory only.",
        "memfd",
        column="memfd",
        kernel=True,
    ),
    Field(
        "kw.file.created",
        Type.BOOL,
        "Whether this open made the file.",
        "created",
        column="created",
        kernel=True,
        kinds=kinds("open"),
    ),
    Field(
        "kw.file.executable",
        Type.BOOL,
        "Whether the file's mode has an execute bit.",
        read=lambda event, _: bool(event.mode & 0o111),
        kinds=kinds("open", "inherit", "chmod", "exec"),
    ),
    Field("kw.file.size", Type.NUMBER, "The file's size in bytes.", "size", column="size"),
    Field(
        "kw.file.foreign",
        Type.BOOL,
        "Whether the file belongs to another container than who acted.",
        read=lambda event, _: event.file_identity is not None,
    ),
    Field(
        "kw.file.container.id",
        Type.STRING,
        "The container whose file it is, when that is another one.",
        read=_owner("container_id"),
        column="file_container_id",
    ),
    Field(
        "kw.file.container.name",
        Type.STRING,
        "The name of the container whose file it is.",
        read=_owner("container"),
        column="file_container",
    ),
    Field("kw.file.pod", Type.STRING, "The pod whose file it is.", read=_owner("pod"), column="file_pod"),
    Field(
        "kw.file.namespace",
        Type.STRING,
        "The namespace whose file it is.",
        read=_owner("namespace"),
        column="file_namespace",
    ),
    Field(
        "kw.file.workload",
        Type.STRING,
        "The workload whose file it is.",
        read=_owner("workload"),
        column="file_workload",
    ),
    Field(
        "kw.ns.kind",
        Type.STRINGS,
        "The kinds of namespace entered or made: `mnt`, `pid`, `net`, `user` …",
        read=_namespaces,
        kinds=NAMESPACED,
    ),
    Field("kw.mount.type", Type.STRING, "The type of the file system mounted.", "filesystem", kinds=MOUNT),
    Field("kw.mount.source", Type.STRING, "What is mounted.", "source", kinds=MOUNT),
    Field("kw.module.name", Type.STRING, "The kernel module loaded.", "name", kinds=kinds("module")),
    Field(
        "kw.target.pid",
        Type.NUMBER,
        "The process traced, or whose namespace is entered.",
        read=lambda event, _: event.target.pid if event.target else None,
        kinds=TARGETED,
    ),
    Field(
        "kw.target.name",
        Type.STRING,
        "The command name of the target process.",
        read=lambda event, _: event.target.comm or None if event.target else None,
        kinds=TARGETED,
    ),
    Field(
        "kw.target.container.id",
        Type.STRING,
        "The target's container; `host` outside of one.",
        read=_target_container,
        kinds=TARGETED,
    ),
    Field(
        "kw.target.foreign",
        Type.BOOL,
        "Whether the target is in another container than who acts.",
        read=_target_foreign,
        kinds=TARGETED,
    ),
    Field("kw.cluster", Type.STRING, "The cluster.", "identity.cluster", column="cluster"),
    Field("kw.node", Type.STRING, "The node.", "identity.node", column="node"),
    Field(
        "kw.workload", Type.STRING, "The workload that owns the pod.", "identity.workload", column="workload"
    ),
    Field(
        "kw.workload.kind",
        Type.STRING,
        "`Deployment`, `StatefulSet`, `DaemonSet`, `CronJob`, `Job`, `Pod` …",
        "identity.workload_kind",
        column="workload_kind",
    ),
    Field(
        "kw.workload.revision",
        Type.STRING,
        "The workload's revision.",
        "identity.revision",
        column="revision",
    ),
    Field("kw.team", Type.STRING, "The team that owns the workload.", "identity.team", column="team"),
)
