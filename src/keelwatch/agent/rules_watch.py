"""Takes up changed rule files while the agent runs: all of them at once, between two events.

Rules with a mistake change nothing: the ones that are loaded stay, the mistakes are logged, recorded
as `rules_refused` and counted. Files are compared by content, so neither a volume that swaps its
folder by a link nor a touched file means anything.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from keelwatch.detect import RuleErrors, RuleSet, load_rules, rule_texts
from keelwatch.kit.worker import Worker

log = logging.getLogger(__name__)
INTERVAL = 2.0
"""Seconds between looks. The kubelet brings a changed ConfigMap within a minute or so."""
MAX_TOLD = 4096
"""Characters of mistakes that a record holds."""


class RulesWatch:
    """A thread. `take` gets a new rule set; `tell` gets a record's kind and its detail.

    `problem` is what kept the rules of `paths` from being loaded when the agent started.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        loaded: RuleSet,
        take: Callable[[RuleSet], None],
        tell: Callable[[str, dict[str, object]], None],
        problem: str = "",
    ) -> None:
        self._paths = list(paths)
        self._take = take
        self._tell = tell
        self._worker = Worker("rules", self.look, INTERVAL)
        self._seen = self._fingerprint()
        self.rules = len(loaded.rules)
        self.problem = problem
        self.reloads = 0
        self.refused = int(bool(problem))

    def start(self) -> None:
        """Start looking; record what was wrong with the rules from the beginning."""
        if self.problem:
            self._tell_refused()
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def look(self) -> bool:
        """Take up the files if they have changed; return False, since the next look can wait."""
        seen = self._fingerprint()
        if seen != self._seen:
            self._seen = seen
            self._load()
        return False

    def _load(self) -> None:
        try:
            rules = load_rules(self._paths)
        except RuleErrors as errors:
            self.refused += 1
            self.problem = str(errors)
            log.error("changed rules are refused, the loaded ones stay:\n%s", errors)  # noqa: TRY400  # says it all
            self._tell_refused()
            return
        self._take(rules)
        self.rules, self.problem = len(rules.rules), ""
        self.reloads += 1
        for warning in rules.warnings:
            log.warning("%s", warning)
        log.info("rules have changed: %d are loaded", self.rules)
        self._tell("rules_loaded", {"rules": self.rules})

    def _tell_refused(self) -> None:
        self._tell("rules_refused", {"rules": self.rules, "errors": self.problem[:MAX_TOLD]})

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path, text in rule_texts(self._paths):
            digest.update(f"{path}\0{len(text)}\0".encode("utf-8", "surrogateescape"))
            digest.update(text)
        return digest.hexdigest()
