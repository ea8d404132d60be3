"""Takes up changed rule files while the agent runs: all of them at once, between two events.

What became of a change is recorded as `rules_loaded` or `rules_refused`.
"""

from __future__ import annotations

from collections.abc import Callable

from keelwatch.detect import RuleSet
from keelwatch.detect.reload import LOADED, Change, RuleFiles
from keelwatch.kit.worker import Worker

INTERVAL = 2.0
"""Seconds between looks. The kubelet brings a changed ConfigMap within a minute or so."""


class RulesWatch:
    """A thread. `take` gets a new rule set; `tell` gets a record's kind and its detail."""

    def __init__(
        self,
        files: RuleFiles,
        take: Callable[[RuleSet], None],
        tell: Callable[[str, dict[str, object]], None],
    ) -> None:
        self._files = files
        self._take = take
        self._tell = tell
        self._worker = Worker("rules", self.look, INTERVAL)

    def start(self) -> None:
        """Start looking; record what was wrong with the rules from the beginning."""
        self._report(self._files.refusal())
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def look(self) -> bool:
        """Take up the files if they have changed; return False, since the next look can wait."""
        self._report(self._files.look())
        return False

    def _report(self, change: Change | None) -> None:
        if change is None:
            return
        if change.kind == LOADED:
            self._take(self._files.rules)
        self._tell(change.kind, change.detail)
