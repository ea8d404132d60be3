"""Whether the agent lives and whether it does all its work: what the kubelet's probes ask.

It lives while housekeeping goes round and no thread has ended; a restart can mend that. It is ready
once its sensor is loaded and the hub has answered; a restart would mend neither.
"""

from __future__ import annotations

import threading
import time

from keelwatch.agent.housekeeping import Housekeeping
from keelwatch.agent.node import Agent

STALE = 180.0
"""Seconds since housekeeping last went round; slow runtimes and disks make it wait, but not so long."""


class Health:
    """Thread-safe. Each question is answered with a problem in words, "" for none."""

    def __init__(self, agent: Agent, keeping: Housekeeping) -> None:
        self._agent = agent
        self._keeping = keeping

    def alive(self) -> str:
        """What only a restart mends."""
        stale = time.monotonic() - self._keeping.went_round
        if stale > STALE:
            return f"housekeeping stands still for {stale:.0f} s"
        running = {thread.name for thread in threading.enumerate()}
        ended = [name for name in self._threads() if name not in running]
        return f"these threads have ended: {', '.join(ended)}" if ended else ""

    def ready(self) -> str:
        """What is not as it should be."""
        if self._agent.blind and self._agent.settings.sensor:
            return f"the sensor is off: {self._agent.blind}"
        if not self._agent.sender.last_success:
            return f"the hub has not answered yet: {self._agent.sender.problem}"
        return ""

    def _threads(self) -> list[str]:
        optional = {"logs": self._agent.logs, "sensor": self._agent.sensor}
        return ["outbox", "examine", *(name for name, part in optional.items() if part is not None)]
