"""Child processes kept running: started in order, restarted when they crash, ended in reverse order."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0
SETTLED = 60.0
"""Seconds a child must run before a crash counts as a first one again."""
_TICK = 0.2
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def next_delay(delay: float, ran: float) -> float:
    """How long to wait before a restart: doubled after each crash, short again after a long run."""
    if ran >= SETTLED:
        return FIRST_DELAY
    return min(LONGEST_DELAY, max(FIRST_DELAY, delay * 2))


def _end_with_parent() -> None:
    """In the child: be told to end when the parent is killed, for then nobody else would tell it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """One program. `patience` is how many seconds it may take to end before it is killed."""

    name: str
    arguments: Sequence[str]
    patience: float = 20.0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.0
    due: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches it through us only, in order."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  # we have no other threads yet
        )

    def crashed(self, now: float) -> int | None:
        """The exit status of a child that has just ended; plans its restart."""
        if self.process is None or self.process.poll() is None:
            return None
        status = self.process.returncode
        self.delay = next_delay(self.delay, now - self.started)
        self.due = now + self.delay
        self.process = None
        return status

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL when it takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Supervisor:
    """Keeps children running until a signal says stop. `say` prints what happens to them."""

    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)
    children: list[Child] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def catch_signals(self) -> None:
        """From now on a signal means: stop the children, in order."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping.set()

    def add(self, child: Child) -> Child:
        """Start a child and keep it."""
        child.start()
        self.children.append(child)
        return child

    def wait_until(self, ready: Callable[[], bool], child: Child, seconds: float) -> bool:
        """Wait until `ready`, at most `seconds`; give up at once when the child ends or we are stopped."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopping.wait(_TICK):
            if child.process is None or child.process.poll() is not None:
                return False
            if ready():
                return True
        return False

    def run(self) -> None:
        """Restart what crashes until a signal comes."""
        while not self.stopping.wait(_TICK):
            for child in self.children:
                self._look_after(child, time.monotonic())

    def _look_after(self, child: Child, now: float) -> None:
        status = child.crashed(now)
        if status is not None:
            self.say(f"{child.name} ended with status {status}; it starts again in {child.delay:.0f} s")
        elif child.process is None and now >= child.due:
            child.start()

    def stop(self) -> None:
        """End all children, the last started first."""
        for child in reversed(self.children):
            child.stop()
