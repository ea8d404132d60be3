"""`thread.*`: the thread that acted."""

from __future__ import annotations

from keelwatch.detect.fields import flags
from keelwatch.detect.fields.base import Field, Type, unsupplied

FIELDS: tuple[Field, ...] = (
    Field("thread.tid", Type.NUMBER, "The thread id on the node.", "tid"),
    Field(
        "thread.cap_effective",
        Type.STRING,
        "The effective capabilities at the last exec, as `CAP_CHOWN CAP_KILL`.",
        read=lambda event, _: flags.capabilities(event.process.capabilities),
    ),
    Field(
        "thread.ismain",
        Type.BOOL,
        "Whether it is the first thread.",
        read=lambda e, _: e.tid == e.process.pid,
    ),
    *unsupplied(
        "the event model does not carry it yet",
        [
            ("thread.vtid", Type.NUMBER, "The thread id in its own namespace."),
            ("thread.cap_permitted", Type.STRING, "The permitted capabilities."),
            ("thread.cap_inheritable", Type.STRING, "The inheritable capabilities."),
            ("thread.cgroups", Type.STRING, "The control groups."),
        ],
    ),
)
