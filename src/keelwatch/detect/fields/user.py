"""`user.*`: as whom it acted. Only root has a name: account files of containers are not read."""

from __future__ import annotations

from keelwatch.detect.fields.base import Field, Type, unsupplied

FIELDS: tuple[Field, ...] = (
    Field("user.uid", Type.NUMBER, "The effective user id.", "process.euid", kernel=True),
    Field(
        "user.name",
        Type.STRING,
        "`root` for user id 0; no other names are known.",
        read=lambda event, _: "root" if event.process.euid == 0 else None,
    ),
    Field(
        "user.loginuid",
        Type.NUMBER,
        "The user id of the log-in that led here (-1: none), which survives su and sudo.",
        "process.loginuid",
        column="loginuid",
    ),
    Field(
        "user.loginname",
        Type.STRING,
        "`root` for log-in user id 0; no other names are known.",
        read=lambda event, _: "root" if event.process.loginuid == 0 else None,
    ),
    *unsupplied(
        "account files are not read",
        [
            ("user.homedir", Type.STRING, "The home directory."),
            ("user.shell", Type.STRING, "The log-in shell."),
        ],
    ),
)
