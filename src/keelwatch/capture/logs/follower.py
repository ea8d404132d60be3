"""Follows the log files of all containers of the node, and deals out reading time fairly.

In: targets, and the positions that the spool kept. Out: rounds of chunks with the positions that are
true once the round is durable. Nothing is lost or doubled over rotation (by rename, with compression
or by copy and truncation), restarts and kills, as long as each round is made durable before the next
one is read, and whole or not at all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keelwatch.capture.logs.batch import LogBatch, LogRound, LogTarget
from keelwatch.capture.logs.paths import identity_of
from keelwatch.capture.logs.position import Position, utf8
from keelwatch.capture.logs.rotation import is_gone
from keelwatch.capture.logs.stream import Chunk, LogStream
from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk

HOLD_EVERY = 1.0
"""Seconds between looks for new files of a stream."""

SWEEP_EVERY = 60.0
"""Seconds between looks for streams whose files are gone for good."""


class Follower:
    """Thread-safe. `checkpoints` come from Spool.checkpoints(); `node` identifies forgotten streams."""

    def __init__(self, checkpoints: Mapping[str, Any], node: Identity | None = None) -> None:
        self._lock = threading.RLock()
        self._node = node or Identity()
        self._resting = {name: Position.from_json(value) for name, value in checkpoints.items()}
        self._streams: dict[str, LogStream] = {}
        self._turns: deque[str] = deque()
        self._held = 0.0
        self._swept = time.monotonic()

    def watch(self, target: LogTarget) -> None:
        """Follow a log from where it was left, or from its oldest file; a known stream gets the identity."""
        name = utf8(target.stream_id)  # it may be made from a path, and becomes a key of JSON
        with self._lock:
            if known := self._streams.get(name):
                known.identity, known.not_before = target.identity, target.not_before
                return
            stream = LogStream(target, self._resting.pop(name, None))
            stream.hold()
            self._streams[name] = stream
            self._turns.append(name)

    def update(self, stream_id: str, identity: Identity) -> None:
        """Use another identity for what is read from now on."""
        with self._lock:
            if stream := self._streams.get(utf8(stream_id)):
                stream.identity, stream.not_before = identity, 0.0

    def end(self, stream_id: str) -> None:
        """The container is gone: its log is read to the end, then let go."""
        with self._lock:
            if stream := self._streams.get(utf8(stream_id)):
                stream.end()

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams being followed."""
        with self._lock:
            return tuple(self._streams)

    def paths(self) -> dict[str, str]:
        """Each log's path and the stream that follows it, or has read it to its container's end."""
        with self._lock:
            read = {at.path: name for name, at in self._resting.items() if at.ended}
            return read | {str(stream.target.path): name for name, stream in self._streams.items()}

    def resting(self) -> dict[str, str]:
        """Each log's path and the stream that was reading it when the agent stopped."""
        with self._lock:
            return {at.path: name for name, at in self._resting.items() if not at.ended}

    @property
    def lag(self) -> int:
        """Bytes of open files that are not read yet."""
        with self._lock:
            return sum(stream.lag for stream in self._streams.values())

    def hold(self) -> None:
        """Open new files of all streams (at most once a second), so that waiting for room loses nothing."""
        with self._lock:
            now = time.monotonic()
            if now - self._held < HOLD_EVERY:
                return
            self._held = now
            for stream in self._streams.values():
                stream.hold()

    def read(self, budget: int = 4 << 20) -> LogRound:
        """Read up to about `budget` bytes, each stream in turn. Falsy if there was nothing to do."""
        with self._lock:
            self.hold()
            round_ = LogRound()
            days: dict[str, LogBatch] = {}
            touched: set[str] = set()
            while round_.size < budget and self._pass(round_, days, touched, budget):
                pass
            round_.batches = list(days.values())
            self._note(round_, touched)
            self._sweep(round_)
            return round_

    def _pass(self, round_: LogRound, days: dict[str, LogBatch], touched: set[str], budget: int) -> bool:
        """Give each stream one turn; return whether any had something."""
        any_read = False
        now = time.monotonic()
        for _ in range(len(self._turns)):
            if round_.size >= budget:
                break
            name = self._turns[0]
            self._turns.rotate(-1)
            stream = self._streams[name]
            if stream.finished or stream.not_before > now:
                continue
            chunk = stream.read()
            if chunk is not None:
                any_read = True
                touched.add(name)
                _add(chunk, stream, round_, days)
        return any_read

    def _note(self, round_: LogRound, touched: set[str]) -> None:
        for name in touched:
            round_.checkpoints[name] = self._streams[name].position.to_json()
        for name, stream in list(self._streams.items()):
            if stream.gaps:
                round_.gaps += stream.gaps
                stream.gaps = []
            if stream.finished:
                self._resting[name] = stream.position
                del self._streams[name]
                self._turns.remove(name)

    def _sweep(self, round_: LogRound) -> None:
        """Forget the positions of streams that nobody follows and whose files are gone."""
        now = time.monotonic()
        if now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        for name, position in list(self._resting.items()):
            if not is_gone(Path(position.path)):
                continue
            round_.checkpoints[name] = None
            del self._resting[name]
            if not position.ended:
                round_.gaps.append(self._vanished(name, position))

    def _vanished(self, name: str, position: Position) -> Gap:
        now = clock.now()
        detail = f"{position.path} was deleted while nobody followed it, read to byte {position.offset}"
        about = identity_of(Path(position.path), self._node)
        if about is self._node:
            about = replace(about, container_id=name)
        return Gap("logs", "log_vanished", now, now, 0, "bytes", about, detail)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for stream in self._streams.values():
                stream.close()


def _add(chunk: Chunk, stream: LogStream, round_: LogRound, days: dict[str, LogBatch]) -> None:
    round_.size += chunk.size
    for day, lines in chunk.days:
        batch = days.setdefault(day, LogBatch(day))
        row = encode_chunk(stream.target.format, batch.lines, chunk.offset, stream.identity, lines)
        batch.chunks.append(row)
        batch.lines += lines.count(b"\n")
