r"""Docker's json-file logs: one object a line, `{"log":"text\n","stream":"stdout","time":"…Z"}`.

A `log` that does not end with a newline is a part of a line. Docker writes the keys in this order
and escapes quotes, so that counting `\n","stream":` finds chunks without parts at C speed.
"""

from __future__ import annotations

from typing import Any

import orjson

from keelwatch.decode.lines import MAX_LINE, Joined, Part, Pending, utc_day, whole_lines

_END = b'\\n","stream":'
_KEYS = ("log", "stream", "time")
_TIME = b'"time":"'


def has_parts(data: bytes) -> bool:
    """Whether `data` may contain parts: exact for what Docker writes."""
    # An escaped backslash followed by the letter n looks like an escaped newline.
    return data.count(_END) != data.count(b"\n") or b"\\" + _END in data


def day(line: bytes) -> str | None:
    """The UTC day of a line."""
    at = line.rfind(_TIME)
    return None if at < 0 else utc_day(line[at + len(_TIME) :][:40])


def head(data: bytes) -> bytes:  # noqa: ARG001  # the same shape as decode.cri
    """Nothing turns the rest of an over-long JSON object into a line of its own."""
    return b""


def join(data: bytes, pending: Pending, limit: int = MAX_LINE) -> Joined:
    """Join the parts in `data` (whole file lines) with those that wait. `pending` is not changed."""
    if not pending and not has_parts(data):
        return Joined(data)
    joined = Joined(b"", dict(pending))
    out: list[bytes] = []
    for line in whole_lines(data):
        record = _parse(line)
        if record is None:
            out.append(line)
        else:
            _take(joined, out, line, record, limit)
    joined.data = b"".join(out)
    return joined


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if isinstance(record, dict) and all(isinstance(record.get(key), str) for key in _KEYS):
        return record
    return None


def _take(joined: Joined, out: list[bytes], line: bytes, record: dict[str, Any], limit: int) -> None:
    stream, text = record["stream"], record["log"].encode()
    ends = text.endswith(b"\n")
    waiting = joined.pending.pop(stream, None)
    if waiting is None and ends:
        out.append(line)
        return
    part = waiting or Part(orjson.dumps({k: v for k, v in record.items() if k != "log"}), b"")
    if len(part.text) + len(text) > limit and part.text:
        out.append(_line(part))
        joined.cut += not part.cut
        part = Part(part.head, text, cut=True)
    else:
        part = Part(part.head, part.text + text, part.cut)
    if ends:
        out.append(_line(part))
    else:
        joined.pending[stream] = part


def _line(part: Part) -> bytes:
    text = part.text if part.text.endswith(b"\n") else part.text + b"\n"
    return orjson.dumps({"log": text.decode(), **orjson.loads(part.head)}) + b"\n"


def flush(pending: Pending) -> bytes:
    """The lines of streams that will get no further parts."""
    return b"".join(_line(part) for part in pending.values())
