"""The agent's side of `GET /v1/inventory`: a thread that waits at the hub for news of the node's pods."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import urllib3

from keelwatch.enrich.pod_identities import PodCache
from keelwatch.kit.backoff import Backoff
from keelwatch.ship.client import HubClient, RetryLaterError, content, reason

log = logging.getLogger(__name__)
WAIT = 30
"""Seconds that the hub is asked to wait for news."""
PATIENCE = 15.0
"""Seconds beyond that after which the connection counts as dead."""
NONE_PAUSE = 60.0
"""Seconds between questions to a hub that has no API server."""

Heard = Callable[[set[str]], None]


class InventoryThread:
    """`heard` is called with the uids of the pods that came or changed."""

    def __init__(self, client: HubClient, node: str, cache: PodCache, heard: Heard) -> None:
        self._client = client
        self._node = node
        self._cache = cache
        self._heard = heard
        self._version = 0
        self._backoff = Backoff(0.2, 5.0)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inventory", daemon=True)
        self.problem = ""

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End; a question that waits at the hub ends with the process."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                pause = self._ask()
            except (RetryLaterError, urllib3.exceptions.HTTPError, OSError) as error:
                pause = self._failed(str(error))
            except Exception as error:
                log.exception("a fault in the inventory")
                pause = self._failed(str(error))
            self._closing.wait(pause)

    def _ask(self) -> float:
        """Ask once; return how long to rest."""
        answer = self._client.inventory(self._node, self._version, 0 if not self._version else WAIT, PATIENCE)
        if answer.status == 404:
            self._cache.absent()
            self._version = 0
            return NONE_PAUSE
        if answer.status != 200:
            return self._failed(f"{answer.status}: {reason(answer)}")
        told = content(answer)
        version = told.get("version")
        if not isinstance(version, int):
            return self._failed("the answer has no version")
        changed = self._cache.take(told)
        self._version = version
        self._well()
        if changed:
            self._heard(changed)
        return 0.0

    def _well(self) -> None:
        self._backoff.reset()
        if self.problem:
            log.info("the hub tells of pods again")
        self.problem = ""

    def _failed(self, problem: str) -> float:
        """What is known stays; after an outage everything is asked for once."""
        self._cache.away()
        self._version = 0
        if not self.problem:
            log.warning("no news of this node's pods: %s", problem[:300])
        self.problem = problem[:300]
        return self._backoff.next()
