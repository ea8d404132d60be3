"""Evidence as a part of the hub: coverage on request, signs of life and canaries all the time."""

from __future__ import annotations

from collections.abc import Iterator

from keelwatch.evidence.canary_watch import CanaryWatch
from keelwatch.evidence.report import Coverage, Policy
from keelwatch.evidence.scope import Scope
from keelwatch.evidence.signs import Sign, SignKeeper
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.ingest.intake import Intake
from keelwatch.query.errors import QuestionError
from keelwatch.store.database import Database


class EvidenceService:
    """`coverage` is what the API and the pages ask."""

    def __init__(self, database: Database, intake: Intake, policy: Policy) -> None:
        self._intake = intake
        self.coverage = Coverage(database, self._heard, policy)
        self._keeper = SignKeeper(self.signs, intake.recorder.write, self.coverage.signs)
        self._canaries = CanaryWatch(database, intake.recorder.record_once, heard=self._heard)

    def start(self) -> None:
        """Begin to keep signs of life and to look after canaries."""
        self._keeper.start()
        self._canaries.start()

    def stop(self) -> None:
        """End, with the last signs kept."""
        self._canaries.stop()
        self._keeper.stop()

    def signs(self) -> Iterator[Sign]:
        """The agents that were heard of since the hub's start."""
        for agent in self._intake.agents.all():
            if agent.last_seen:
                yield Sign(agent.spool, agent.node, agent.last_seen)

    def _heard(self) -> dict[str, float]:
        return {sign.agent: sign.time for sign in self.signs()}


def policy_of(settings: HubSettings) -> Policy:
    """What the operator set; raise SettingsError for a selector that is none."""
    try:
        Scope.of(settings.scope_selector)
    except QuestionError as error:
        raise SettingsError(f"--scope-selector: {error}; {error.hint}") from error
    return Policy(settings.scope_selector, frozenset(settings.sandboxed_runtimes))
