"""The sender: one thread and one connection for each lane of the spool, so that no lane waits for another.

    GET  {hub}/v1/spools/{spool}  asked before anything is sent: what the hub has is the truth
    POST {hub}/v1/batches         see ship.carrier

The prompt lane's thread asks, knocks while the hub is away, and shows that the agent is there.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import fields
from pathlib import Path

import urllib3

from keelwatch.ship.carrier import Carrier, Counters
from keelwatch.ship.client import AwayError, BusyError, HubClient, RetryLaterError, UnauthorisedError
from keelwatch.ship.lanes import LANES
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)

REQUEST = 10 << 20
"""Bytes of frames in a request (more if the first frame is larger): some 60 MB of log text. The hub
stores a request as one part; few large ones cost it much less than many small ones.
"""

IDLE = 1.0
"""Seconds to wait for something to send before looking again."""

HEARTBEAT = 30.0
"""Seconds without an exchange after which an agent that has nothing to say shows that it is there."""


class Sender:
    """Threads. `token_file` is read again whenever the hub refuses the token."""

    def __init__(
        self,
        spool: Spool,
        hub: str,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        request_size: int = REQUEST,
    ) -> None:
        self._spool = spool
        self._client = HubClient(hub, token_file, ca_file, len(LANES))
        self._carriers = {lane: Carrier(lane, spool, self._client, request_size) for lane in LANES}
        self._prompt = self._carriers["prompt"]
        self._prompt.problem = "not connected yet"
        self._closing = threading.Event()
        self._resumed = threading.Event()
        self._told = False
        self._asked = 0.0  # when the hub was asked what it has; monotonic seconds
        self._threads = [
            threading.Thread(target=self._run, args=(carrier,), name=f"send-{lane}", daemon=True)
            for lane, carrier in self._carriers.items()
        ]
        self.last_success = 0.0  # seconds since the epoch

    def start(self) -> None:
        """Start sending."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Try for up to `timeout` seconds to send what waits, then end."""
        deadline = time.monotonic() + timeout
        while self.connected and any(self._spool.waiting.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._closing.set()
        self._spool.wake()
        for carrier in self._carriers.values():
            carrier.again.set()
        for thread in self._threads:
            thread.join(timeout)

    @property
    def problem(self) -> str:
        """Why the last exchange of a lane did not go well; empty if all did."""
        return next((carrier.problem for carrier in self._carriers.values() if carrier.problem), "")

    @property
    def connected(self) -> bool:
        """Whether the last exchange with the hub went well."""
        return not self.problem

    @property
    def counters(self) -> Counters:
        """What all lanes did since the start."""
        counted = [carrier.counters for carrier in self._carriers.values()]
        return Counters(*(sum(getattr(one, field.name) for one in counted) for field in fields(Counters)))

    def _run(self, carrier: Carrier) -> None:
        while carrier is not self._prompt and not self._closing.is_set() and not self._resumed.wait(IDLE):
            pass
        while not self._closing.is_set():
            try:
                exchanged = self._turn(carrier)
            except (RetryLaterError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                self._fail(carrier, error)
            else:
                if exchanged:
                    self._succeed(carrier)
                else:
                    self._spool.wait(IDLE, carrier.lane)

    def _turn(self, carrier: Carrier) -> bool:
        """Do one exchange with the hub; return whether there was a reason for one."""
        if carrier is self._prompt:
            if not self._resumed.is_set():
                self._spool.resume(self._client.stored(self._spool.id))
                self._resumed.set()
                return True
            if self._is_time_to_ask():
                self.beat()
                return True
        return carrier.carry(self._closing)

    def _is_time_to_ask(self) -> bool:
        """After a long silence, or when another lane does not reach the hub: who knocks hears it return."""
        if time.time() - self.last_success > HEARTBEAT:
            return True
        return bool(self._cut_off()) and time.monotonic() - self._asked > IDLE

    def _cut_off(self) -> list[Carrier]:
        """Those of the other lanes that could not reach the hub; what the hub refused is something else."""
        others = [carrier for carrier in self._carriers.values() if carrier is not self._prompt]
        return [carrier for carrier in others if carrier.problem and not carrier.refused]

    def beat(self) -> None:
        """Show the hub that the agent is there, and hear what it has."""
        self._asked = time.monotonic()
        stored = self._client.stored(self._spool.id)
        for carrier in self._carriers.values():
            self._spool.acknowledge(carrier.of_ours(stored))

    def _fail(self, carrier: Carrier, error: Exception) -> None:
        """Leave the hub alone for a while, as long as it asks or until it is known to be back."""
        _count(carrier, error)
        refusal = error if isinstance(error, RetryLaterError) else None
        problem = str(error) if refusal else f"hub {self._client.hub}: {error}"
        carrier.refused = refusal is not None and not isinstance(error, AwayError)
        seconds = carrier.backoff.next() if carrier.refused else carrier.knocks.next()
        asked = refusal.after * random.uniform(1.0, 1.25) if refusal else 0.0  # noqa: S311  # spreads load
        self._rest(carrier, problem, max(seconds, asked))

    def _rest(self, carrier: Carrier, problem: str, seconds: float) -> None:
        if not self._told:
            log.warning("%s; batches wait in the spool", problem)
        self._told = True
        carrier.problem = problem
        if not self._closing.is_set():
            carrier.again.wait(seconds)
        carrier.again.clear()

    def _succeed(self, carrier: Carrier) -> None:
        self.last_success = time.time()
        carrier.backoff.reset()
        carrier.knocks.reset()
        if not carrier.problem:
            return
        carrier.problem = ""
        if carrier is self._prompt:
            for other in self._cut_off():
                other.again.set()
        if self.connected:
            log.info("connected to hub %s", self._client.hub)
            self._told = False


def _count(carrier: Carrier, error: Exception) -> None:
    counters = carrier.counters
    if isinstance(error, UnauthorisedError):
        counters.unauthorised += 1
    elif isinstance(error, BusyError):
        counters.busy += 1
    else:
        counters.failures += 1
