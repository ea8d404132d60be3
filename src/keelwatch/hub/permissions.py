"""Asks the API server now and then what the hub may not do there, so that somebody can mend it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from prometheus_client import Gauge

from keelwatch.inventory.client import Api, ApiError, UnreachableError
from keelwatch.inventory.permissions import Permission, lacking

_log = logging.getLogger(__name__)

MISSING = Gauge("keelwatch_hub_missing_permissions", "Permissions that the hub lacks at the API server")
LOOK_SECONDS = 600.0
AGAIN_SECONDS = 30.0


class Permissions:
    """A thread. `problems` are sentences for people, empty while all is well."""

    def __init__(self, api: Api, wanted: Sequence[Permission]) -> None:
        self._api = api
        self._wanted = wanted
        self.problems: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="permissions", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End; a question under way is not waited for."""
        self._stopping.set()

    def look(self) -> None:
        """Ask for all of them; what is new is logged."""
        try:
            missing = [permission.missing for permission in lacking(self._api, self._wanted)]
        except (ApiError, UnreachableError) as error:
            self._tell([f"the API server cannot be asked: {error}"])
            return
        MISSING.set(len(missing))
        self._tell(missing)

    def _tell(self, problems: list[str]) -> None:
        for problem in problems:
            if problem not in self.problems:
                _log.warning("%s", problem)
        if self.problems and not problems:
            _log.info("the API server allows everything that the hub needs")
        self.problems = problems

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(AGAIN_SECONDS if self.problems else LOOK_SECONDS)
