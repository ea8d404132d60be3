"""The inventory as a part of the hub: its watches, its history, and what is wrong with it."""

from __future__ import annotations

import logging
import time

from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.ingest.recorder import Recorder
from keelwatch.inventory.client import Api
from keelwatch.inventory.inventory import Inventory
from keelwatch.inventory.kinds import KINDS
from keelwatch.inventory.lives import Life
from keelwatch.inventory.teams import TeamMapError, TeamRules, read_team_map
from keelwatch.inventory.watch import watchers
from keelwatch.kit.worker import Worker
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database, StoreError

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
_LATE_SECONDS = 0.25
"""Seconds between looks for pods whose owner did not come in time."""
_PATIENCE = 10.0
"""Seconds behind the start that questions wait for the first list: pods changed while no hub was there."""


def inventory_service(
    settings: HubSettings, api: Api | None, database: Database, recorder: Recorder
) -> InventoryService | None:
    """The inventory, where there is an API server to ask; raise SettingsError."""
    if api is None:
        return None
    try:
        teams = read_team_map(settings.team_map) if settings.team_map else {}
    except TeamMapError as error:
        raise SettingsError(f"--team-map {error}") from error
    rules = TeamRules(settings.team_label, settings.team_annotation, teams)
    return InventoryService(api, settings.cluster, rules, database, recorder)


class InventoryService:
    """`inventory` is what others ask."""

    def __init__(
        self, api: Api, cluster: str, rules: TeamRules, database: Database, recorder: Recorder
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self.inventory = Inventory(cluster, rules, database, recorder.write)
        self._watchers = watchers(api, self.inventory, self._unwatched)
        self._listed_by = time.monotonic() + _PATIENCE
        self._late = Worker("tell-late", self._tell_late, _LATE_SECONDS)

    def start(self) -> None:
        """Learn what is stored, and begin to watch."""
        self.inventory.history.start()
        for watcher in self._watchers:
            watcher.start()
        self._late.start()

    def stop(self) -> None:
        """End the watches, and write what they told."""
        for watcher in self._watchers:
            watcher.stop()
        self._late.stop()
        self.inventory.history.stop()

    def objects(self) -> dict[str, int]:
        """How many objects of each kind are known now."""
        return self.inventory.counts(tuple(kind.name for kind in KINDS))

    def lives(self, namespace: str, name: str) -> list[Life]:
        """The pods of a name that are in memory."""
        if not self.inventory.ready.is_set():
            self.inventory.ready.wait(max(0.0, self._listed_by - time.monotonic()))
        return self.inventory.lives(namespace, name)

    def problems(self) -> list[str]:
        """What keeps it from knowing the cluster."""
        return [
            f"inventory of {kind.name}: {watcher.state.problem}"
            for kind, watcher in zip(KINDS, self._watchers, strict=True)
            if watcher.state.problem
        ]

    def _tell_late(self) -> bool:
        self.inventory.tell_late(time.monotonic())
        return False

    def _unwatched(self, kind: str, begin: int, end: int) -> None:
        """A watch could not go on where it was: what came and went in between, nobody knows."""
        detail = f"{kind}: the watch could not be continued; what came and went meanwhile is not known"
        about = Identity(cluster=self._cluster, identity_source="cluster=config")
        seconds = max(1, (end - begin) // _SECOND)
        try:
            self._recorder.record(
                [Gap("inventory", "inventory_off", begin, end, seconds, "seconds", about, detail)]
            )
        except StoreError as error:
            _log.warning("a gap of the inventory could not be recorded: %s", error.brief)
