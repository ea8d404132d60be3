"""How far a stream has been read: the checkpoint that travels with its batches."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from keelwatch.decode.lines import Part, Pending


@dataclass(slots=True)
class Position:
    """`offset` bytes of the file with this inode and fingerprint are read.

    `fingerprint` is empty until a first line is whole. `pending` are parts of lines that wait for
    their end; `continuing` is not None in the middle of a line that is too long, and is what its
    next piece starts with. `day` is the day of the last line read. `ended`: the container is gone
    and everything it wrote is read. `done` are the fingerprints of the files read before this one,
    the latest few.
    """

    path: str
    inode: int = 0
    fingerprint: str = ""
    offset: int = 0
    pending: Pending = field(default_factory=dict)
    continuing: bytes | None = None
    day: str = ""
    ended: bool = False
    done: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The position as a checkpoint (JSON types only); empty fields are left out."""
        path = utf8(self.path)
        record: dict[str, Any] = {"path": path, "inode": self.inode, "offset": self.offset}
        if path != self.path:
            record["path_bytes"] = os.fsencode(self.path).decode("latin-1")
        if self.fingerprint:
            record["fingerprint"] = self.fingerprint
        if self.pending:
            record["pending"] = {name: part.to_json() for name, part in self.pending.items()}
        if self.continuing is not None:
            record["continuing"] = self.continuing.decode("latin-1")
        if self.day:
            record["day"] = self.day
        if self.done:
            record["done"] = self.done
        if self.ended:
            record["ended"] = True
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Position:
        """The reverse of `to_json`."""
        continuing = record.get("continuing")
        return cls(
            path=_path(record),
            inode=int(record["inode"]),
            fingerprint=str(record.get("fingerprint", "")),
            offset=int(record["offset"]),
            pending={name: Part.from_json(part) for name, part in record.get("pending", {}).items()},
            continuing=None if continuing is None else continuing.encode("latin-1"),
            day=str(record.get("day", "")),
            ended=bool(record.get("ended", False)),
            done=list(record.get("done", [])),
        )


def utf8(text: str) -> str:
    """Text that may hold a file name which is no UTF-8, as JSON can carry it: escaped with backslashes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _path(record: dict[str, Any]) -> str:
    exact = record.get("path_bytes")
    return str(record["path"]) if exact is None else os.fsdecode(exact.encode("latin-1"))
