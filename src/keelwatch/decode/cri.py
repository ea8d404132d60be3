"""CRI log files: `<RFC3339Nano> <stdout|stderr> <P|F> <text>`; P lines are parts, F ends a line.

Format: kubernetes/design-proposals "kubelet-cri-logging". Tags may be joined by colons, of which the
first is P or F. Whole chunks pass untouched when they have no parts; see `decode.lines`.
"""

from __future__ import annotations

import re

from keelwatch.decode.lines import MAX_LINE, Joined, Part, Pending, utc_day, whole_lines

_LINE = re.compile(rb"(\S{19,40}) (stdout|stderr) ([PF])(?::\S*)? ?")
_MAX_HEAD = 128


def has_parts(data: bytes) -> bool:
    """Whether `data` may contain parts: never wrongly False."""
    return b" stdout P" in data or b" stderr P" in data


def day(line: bytes) -> str | None:
    """The UTC day of a line."""
    return utc_day(line[:40])


def head(data: bytes) -> bytes:
    """What a continuation of the over-long line `data` must start with to be a line of its own."""
    found = _LINE.match(data[:_MAX_HEAD])
    return b"%s %s F " % (found[1], found[2]) if found else b""


def join(data: bytes, pending: Pending, limit: int = MAX_LINE) -> Joined:
    """Join the parts in `data` (whole file lines) with those that wait. `pending` is not changed.

    A joined line has the time of its first part and stands where its last part stood. A line that
    does not follow the format is passed on as it is.
    """
    if not pending and not has_parts(data):
        return Joined(data)
    joined = Joined(b"", dict(pending))
    out: list[bytes] = []
    for line in whole_lines(data):
        found = _LINE.match(line)
        if found is None:
            out.append(line)
        else:
            _take(joined, out, line, found, limit)
    joined.data = b"".join(out)
    return joined


def _take(joined: Joined, out: list[bytes], line: bytes, found: re.Match[bytes], limit: int) -> None:
    stream = found[2].decode()
    ends = found[3] == b"F"
    waiting = joined.pending.pop(stream, None)
    if waiting is None and ends:
        out.append(line)
        return
    text = line[found.end() : -1]
    part = waiting or Part(b"%s %s F " % (found[1], found[2]), b"")
    if len(part.text) + len(text) > limit and part.text:
        out.append(part.head + part.text + b"\n")
        joined.cut += not part.cut
        part = Part(part.head, text, cut=True)
    else:
        part = Part(part.head, part.text + text, part.cut)
    if ends:
        out.append(part.head + part.text + b"\n")
    else:
        joined.pending[stream] = part


def flush(pending: Pending) -> bytes:
    """The lines of streams that will get no further parts."""
    return b"".join(part.head + part.text + b"\n" for part in pending.values())
