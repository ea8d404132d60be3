"""`group.*`: as which group it acted."""

from __future__ import annotations

from keelwatch.detect.fields.base import Field, Type

FIELDS: tuple[Field, ...] = (
    Field("group.gid", Type.NUMBER, "The group id.", "process.gid", column="gid"),
    Field(
        "group.name",
        Type.STRING,
        "`root` for group id 0; no other names are known.",
        read=lambda event, _: "root" if event.process.gid == 0 else None,
    ),
)
