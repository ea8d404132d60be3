"""Bytes of a request → batches in files, checked as far as a header can be checked.

The body of a batch stays compressed: the engine reads it from the file.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import zstandard

from keelwatch.model.batch import MAX_RAW, BatchHeader, FrameError, decode_frames

_log = logging.getLogger(__name__)

MAX_REQUEST = 96 << 20
MAX_ROWS = 50_000_000
_SPOOL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_EARLIEST = date(2000, 1, 1)
_DAY_NS = 86_400 * 1_000_000_000


class RejectedError(ValueError):
    """A frame that can never be accepted. Carries what is known of its header."""

    def __init__(self, message: str, header: BatchHeader | None = None) -> None:
        super().__init__(message)
        self.header = header


@dataclass(frozen=True, slots=True)
class Received:
    """A batch whose body lies in `path`. `size` is the uncompressed size as far as it is known."""

    header: BatchHeader
    path: Path
    size: int

    @property
    def spool(self) -> str:
        """The spool's id."""
        return self.header.spool

    @property
    def seq(self) -> int:
        """The sequence number."""
        return self.header.seq


def receive(data: bytes | bytearray, folder: Path) -> list[Received]:
    """Write the bodies of all frames to `folder`; raise RejectedError with nothing left behind."""
    batches: list[Received] = []
    try:
        for header, body in _checked(data):
            path = folder / header.table / f"{header.spool}~{header.seq}~{secrets.token_hex(8)}.zst"
            batches.append(Received(header, path, _size(header, body)))
            path.write_bytes(body)
    except BaseException:
        discard(batches)
        raise
    if not batches:
        raise RejectedError("the request holds no batch")
    return batches


def discard(batches: list[Received]) -> None:
    """Delete the files of batches that will not be stored, or are."""
    for batch in batches:
        try:
            batch.path.unlink(missing_ok=True)
        except OSError as error:  # a file too many is no reason to doubt what is stored
            _log.warning("cannot delete %s: %s", batch.path, error)


def prepare(folder: Path, tables: tuple[str, ...]) -> None:
    """Make the folders; what a killed hub left behind was not acknowledged and is deleted."""
    for table in tables:
        (folder / table).mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in (folder / table).iterdir():
            left.unlink()
    for left in folder.glob("*/*.bundle"):  # of the hub's own records, which have folders, too
        left.unlink()


def day_start(day: str) -> int:
    """Nanoseconds since the epoch at which an ISO day begins."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * _DAY_NS


def _checked(data: bytes | bytearray) -> list[tuple[BatchHeader, memoryview]]:
    frames: list[tuple[BatchHeader, memoryview]] = []
    try:
        for header, body in decode_frames(memoryview(data)):
            _check(header, frames[0][0].spool if frames else header.spool)
            frames.append((header, body))
    except FrameError as error:
        raise RejectedError(str(error)) from error
    return frames


def _check(header: BatchHeader, spool: str) -> None:
    problem = _problem(header)
    if header.spool != spool:
        problem = "one request holds batches of two spools"
    if problem:
        raise RejectedError(problem, header)


def _problem(header: BatchHeader) -> str:
    """What is wrong with a header, or nothing. The types are checked too: JSON has its own."""
    if not isinstance(header.spool, str) or not _SPOOL.fullmatch(header.spool):
        return "spool id is not 1 to 128 letters, digits, '.', '_' or '-'"
    if not _whole(header.seq) or not 1 <= header.seq < 1 << 63:
        return "seq is not a number from 1"
    if not _whole(header.rows) or not 0 <= header.rows <= MAX_ROWS:
        return f"rows is not a number up to {MAX_ROWS}"
    if not _whole(header.raw) or not 0 <= header.raw <= MAX_RAW:
        return f"raw is not a number up to {MAX_RAW}"
    if header.format == "chunks" and header.table != "logs":
        return "only logs travel as chunks"
    if not isinstance(header.node, str) or len(header.node) > 253:
        return "node is not a name"
    return _day_problem(header.day)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _day_problem(day: object) -> str:
    try:
        found = date.fromisoformat(day) if isinstance(day, str) else None
    except ValueError:
        found = None
    if found is None or found.isoformat() != day:
        return "day is not an ISO 8601 date"
    today = datetime.fromtimestamp(time.time(), tz=UTC).date()
    if found < _EARLIEST or (found - today).days > 366:
        return f"day {day} is before {_EARLIEST} or more than a year ahead"
    return ""


def _size(header: BatchHeader, body: memoryview) -> int:
    """The larger of what the header and what the zstd frame say; refuse what is too large."""
    try:
        claimed = zstandard.frame_content_size(body)
    except zstandard.ZstdError as error:
        raise RejectedError(f"the body is not zstd: {error}", header) from error
    if claimed > MAX_RAW:
        raise RejectedError(f"the body unpacks to more than {MAX_RAW} bytes", header)
    return max(claimed, header.raw)
