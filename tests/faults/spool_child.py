"""The program that the fault tests kill: follow log files, spool them, send them. Run as a script.

spool_child.py LOGS SPOOL HUB [TOKEN_FILE]

It ends when LOGS/done exists and everything has been acknowledged
"""

import sys
import time
from pathlib import Path

from keelwatch.capture.logs import Follower, LogTarget
from keelwatch.kit import backoff
from keelwatch.model.identity import Identity
from keelwatch.ship.freeze import gap_drafts, log_drafts, rows_draft
from keelwatch.ship.sender import Sender
from keelwatch.ship.spool import Spool, SpoolFullError


def main(logs: Path, directory: Path, hub: str, token: Path | None = None) -> None:
    print("started", flush=True)  # a kill before this would prove nothing
    backoff.Backoff.__init__.__defaults__ = (0.01, 0.1)
    spool = Spool(directory, Identity(node="n1"), limit=2 << 20)
    follower = Follower(spool.checkpoints())
    sender = Sender(spool, hub, token, request_size=100_000)
    sender.start()
    names = ("one", "two")
    for name in names:
        follower.watch(LogTarget(name, logs / name / "0.log", "cri", Identity(container=name)))
    while follower.streams:
        if (logs / "done").exists():
            for name in names:
                follower.end(name)
        keep(spool, follower)
    while any(spool.waiting.values()):
        time.sleep(0.01)


def keep(spool: Spool, follower: Follower) -> None:
    found = follower.read(1 << 16)
    if not found:
        time.sleep(0.005)
        return
    drafts = log_drafts(found.batches) + gap_drafts(found.gaps)
    while True:
        try:
            spool.append(drafts + rows_draft("events", [{"time": time.time_ns()}]), found.checkpoints)
        except SpoolFullError:
            follower.hold()
            time.sleep(0.005)
        else:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(Path, sys.argv[4:]))
