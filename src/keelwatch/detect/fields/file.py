"""`fd.*` and `fs.path.*`: the file acted on. Names and meanings are Falco's."""

from __future__ import annotations

from keelwatch.detect.fields.base import Field, Type, kinds, unsupplied
from keelwatch.model.event import Event

OPENED = kinds("open", "inherit")
NAMED = kinds("open", "inherit", "chmod", "unlink", "mount")
MOVED = kinds("rename", "link")


def directory(event: Event, _argument: object = None) -> str | None:
    """The part of the path before its last slash; `/` for what lies in the root."""
    if not event.path:
        return None
    return event.path.rpartition("/")[0] or "/"


def filename(event: Event, _argument: object = None) -> str | None:
    """The part of the path behind its last slash."""
    return event.path.rpartition("/")[2] or None


def number(event: Event, _argument: object = None) -> int:
    """The descriptor; -1 when the open failed."""
    if event.kind == "inherit":
        return event.descriptor
    return event.result if event.result >= 0 else -1


FIELDS: tuple[Field, ...] = (
    Field(
        "fd.name",
        Type.STRING,
        "The path of the file opened.",
        "path",
        column="path",
        kernel=True,
        kinds=OPENED,
    ),
    Field("fd.directory", Type.STRING, "The directory of the file opened.", read=directory, kinds=OPENED),
    Field("fd.filename", Type.STRING, "The file's name without its directory.", read=filename, kinds=OPENED),
    Field("fd.num", Type.NUMBER, "The descriptor; -1 when the open failed.", read=number, kinds=OPENED),
    Field("fd.type", Type.STRING, "`file`.", read=lambda _e, _a: "file", kinds=OPENED),
    Field("fd.typechar", Type.STRING, "`f`.", read=lambda _e, _a: "f", kinds=OPENED),
    Field("fd.ino", Type.NUMBER, "The inode of the file opened.", "inode", column="inode", kinds=OPENED),
    Field("fd.dev", Type.NUMBER, "The device that holds the file.", "device", column="device", kinds=OPENED),
    Field(
        "fd.is_upper_layer",
        Type.BOOL,
        "Whether the file lies in the overlay's upper layer.",
        "upper",
        column="upper",
        kernel=True,
        kinds=OPENED,
    ),
    Field(
        "fs.path.name",
        Type.STRING,
        "The path that a call acts on (open, chmod, unlink, mount).",
        "path",
        column="path",
        kinds=NAMED,
    ),
    Field(
        "fs.path.source",
        Type.STRING,
        "The old name of a rename or link; the source of a mount.",
        read=lambda e, _: (e.source if e.kind == "mount" else e.old_path) or None,
        kinds=MOVED | kinds("mount"),
    ),
    Field(
        "fs.path.target",
        Type.STRING,
        "The new name of a rename or link; where something is mounted.",
        "path",
        column="path",
        kinds=MOVED | kinds("mount"),
    ),
    *unsupplied(
        "paths come from the kernel's objects, not as they were spelled",
        [
            ("fd.nameraw", Type.STRING, "The path as the program spelled it."),
            ("fs.path.nameraw", Type.STRING, "The path as the program spelled it."),
            ("fs.path.sourceraw", Type.STRING, "The old path as the program spelled it."),
            ("fs.path.targetraw", Type.STRING, "The new path as the program spelled it."),
        ],
    ),
    *unsupplied(
        "the sensor does not observe network calls yet",
        [
            *(
                (f"fd.{name}", Type.STRING, "Of a network connection.")
                for name in (
                    "ip",
                    "cip",
                    "sip",
                    "lip",
                    "rip",
                    "net",
                    "cnet",
                    "snet",
                    "lnet",
                    "rnet",
                    "proto",
                    "cproto",
                    "sproto",
                    "lproto",
                    "rproto",
                    "l4proto",
                    "sockfamily",
                    "sip.name",
                    "cip.name",
                    "lip.name",
                    "rip.name",
                    "containername",
                    "containerdirectory",
                )
            ),
            *(
                (f"fd.{name}", Type.NUMBER, "Of a network connection.")
                for name in ("port", "cport", "sport", "lport", "rport")
            ),
            *(
                (f"fd.{name}", Type.BOOL, "Of a network connection.")
                for name in ("is_server", "connected", "name_changed")
            ),
            ("fd.types", Type.STRINGS, "The types of descriptors."),
        ],
    ),
)
