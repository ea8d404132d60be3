"""Opening a spool after whatever happened to it, and saving what is intact of a damaged segment.

A tail without a commit is what a kill leaves behind; it was never durable and is cut off. Anything
else that cannot be read is damage: the segment is kept under corrupt/, its intact frames go on, and
the rest is counted as a loss.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping

from keelwatch.kit import faults
from keelwatch.model.batch import BatchHeader, FrameError
from keelwatch.ship.disk import SegmentFiles
from keelwatch.ship.losses import Losses
from keelwatch.ship.segment import Scan, State, encode_commit, read_record, scan

log = logging.getLogger(__name__)


def open_last(files: SegmentFiles, losses: Losses) -> State | None:
    """Return the spool's state with its last segment open for appending; None if there is no spool."""
    state = State(spool="")
    damaged: list[tuple[int, Scan]] = []
    for number in _needed(files):
        found = scan(_read(files, number), state.spool)
        _absorb(state, found)
        if found.damage or not found.commits():
            damaged.append((number, found))
    if not state.spool:
        _give_up(files, losses)
        return None
    for number, found in damaged:
        _count(losses, number, found, state, _missing(found, _first(found, state.following), state.following))
    _open(files, state, damaged)
    return state


def _needed(files: SegmentFiles) -> list[int]:
    """The segments whose content makes the state: the last whole snapshot and what follows."""
    needed: list[int] = []
    for number in reversed(files.numbers):
        needed.insert(0, number)
        if head(files, number) is not None:
            break
    return needed


def head(files: SegmentFiles, number: int) -> dict[str, int] | None:
    """The numbers that followed when the segment was begun, by table; None if its head is damaged."""
    data = files.read(number, 0, 1 << 16)
    size = files.sizes[number]
    try:
        commit = read_record(memoryview(data if size <= len(data) else files.read(number, 0, size)), 0).commit
    except FrameError:
        return None
    return dict(commit["following"]) if commit else None


def _read(files: SegmentFiles, number: int) -> bytes:
    return files.read(number, 0, files.sizes[number])


def _absorb(state: State, found: Scan) -> None:
    for commit in found.commits():
        state.absorb(commit)
    for header in [*found.headers(), *found.lost]:
        if header.spool == state.spool:
            state.following[header.table] = max(state.following.get(header.table, 1), header.seq + 1)


def _give_up(files: SegmentFiles, losses: Losses) -> None:
    """Nothing tells which spool this was: keep the files for a look, begin a new one."""
    for number in files.numbers:
        losses.add("spool", "spool_corrupt", files.sizes[number], "bytes", f"segment {number} is unreadable")
        files.keep_corrupt(number)
        files.remove(number)


def _open(files: SegmentFiles, state: State, damaged: list[tuple[int, Scan]]) -> None:
    last = files.numbers[-1]
    for number, found in damaged:
        files.keep_corrupt(number)
        if number != last:
            files.replace(number, _rebuilt(files, number, found, state))
    if any(number == last for number, _ in damaged):
        _, found = damaged[-1]
        files.create(last, _rebuilt(files, last, found, state))
    else:
        files.reopen(last, scan(_read(files, last), state.spool).end)


def _rebuilt(files: SegmentFiles, number: int, found: Scan, state: State) -> bytes:
    data = _read(files, number)
    frames = [data[record.at : record.end] for record in found.records if record.header is not None]
    return b"".join([encode_commit(state.snapshot()), *frames, encode_commit(state.progress())])


def salvage(
    files: SegmentFiles,
    number: int,
    state: State,
    following: Mapping[str, int],
    losses: Losses,
    commit_losses: Callable[[], None],
) -> None:
    """Save what is intact of a damaged segment; `following` is what follows behind its end."""
    found = scan(_read(files, number), state.spool)
    first = head(files, number)
    missing = _missing(found, _first(found, following) if first is None else first, following)
    _count(losses, number, found, state, missing)
    files.keep_corrupt(number)
    commit_losses()
    faults.point("spool.salvage.counted")
    rebuilt = _rebuilt(files, number, found, state)
    if number == files.last:
        files.create(number, rebuilt)
    else:
        files.replace(number, rebuilt)


def _first(found: Scan, following: Mapping[str, int]) -> dict[str, int]:
    """Where the segment begins, as far as its frames tell."""
    first = dict(following)
    for header in [*found.headers(), *found.lost]:
        first[header.table] = min(first.get(header.table, header.seq), header.seq)
    return first


def _missing(found: Scan, first: Mapping[str, int], following: Mapping[str, int]) -> set[tuple[str, int]]:
    there = {(header.table, header.seq) for header in found.headers()}
    return {
        (table, seq)
        for table, end in following.items()
        for seq in range(first.get(table, 1), end)
        if (table, seq) not in there
    }


def _count(losses: Losses, number: int, found: Scan, state: State, missing: set[tuple[str, int]]) -> None:
    damage = sum(end - at for at, end in found.damage)
    log.error("spool segment %d: %d bytes are damaged, %d batches missing", number, damage, len(missing))
    detail = f"segment {number}: {damage} bytes damaged"
    lost = {name for name in missing if name[1] > state.acknowledged.get(name[0], 0)}
    readable: list[BatchHeader] = [h for h in found.lost if (h.table, h.seq) in lost]
    for header in readable:
        losses.add(header.table, "spool_corrupt", header.rows, "rows", detail)
    unknown = lost - {(header.table, header.seq) for header in readable}
    for table, batches in Counter(table for table, _ in unknown).items():
        losses.add(table, "spool_corrupt", batches, "batches", detail)
