"""The operator's rule files while a program runs: what is in force, and what a changed file does to it.

All files are taken up at once or not at all: rules with a mistake change nothing. Files are compared by
content, so neither a volume that swaps its folder by a link nor a touched file means anything. There is
no thread here; agent and hub look now and then, and record what a look found.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keelwatch.detect.errors import RuleErrors
from keelwatch.detect.rules import RuleSet, default_rules_dir, load_rules, rule_texts

log = logging.getLogger(__name__)
LOADED, REFUSED = "rules_loaded", "rules_refused"
MAX_TOLD = 4096
"""Characters of mistakes that a record holds."""
MAX_BRIEF = 300


class Change(NamedTuple):
    """What a look found, as a lifecycle record tells it: `kind` is LOADED or REFUSED."""

    kind: str
    detail: dict[str, object]


class RuleFiles:
    """The rules of `own` files and folders, with the shipped ones before them.

    `rules` are in force; `problem` tells the mistakes that keep the files' present content from it, ""
    for none. Raise RuleErrors for mistakes at the start; with `fallback` the shipped rules are in
    force then, unless they are left out.
    """

    def __init__(self, own: Sequence[Path], *, default_rules: bool = True, fallback: bool = False) -> None:
        self._shipped = [default_rules_dir()] if default_rules else []
        self._paths = [*self._shipped, *own]
        self._seen = self._fingerprint()  # before they are loaded, so that a change meanwhile is seen
        self.problem = ""
        self.rules = self._first(fallback=fallback)
        self.reloads = 0
        self.refused = int(bool(self.problem))

    def look(self) -> Change | None:
        """Take the files up if they have changed; return what became of that, None for no change."""
        seen = self._fingerprint()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            rules = load_rules(self._paths)
        except RuleErrors as errors:
            log.error("changed rules are refused, the loaded ones stay:\n%s", errors)  # noqa: TRY400  # says it all
            self.refused += 1
            self.problem = str(errors)
            return self.refusal()
        self.rules, self.problem = rules, ""
        self.reloads += 1
        for warning in rules.warnings:
            log.warning("%s", warning)
        log.info("rules have changed: %d are loaded", len(rules.rules))
        return Change(LOADED, {"rules": len(rules.rules)})

    def refusal(self) -> Change | None:
        """What a record tells of the present problem; None where there is none."""
        if not self.problem:
            return None
        return Change(REFUSED, {"rules": len(self.rules.rules), "errors": self.problem[:MAX_TOLD]})

    def _first(self, *, fallback: bool) -> RuleSet:
        try:
            return load_rules(self._paths)
        except RuleErrors as errors:
            if not (fallback and self._shipped):
                raise
            log.error("your rules are refused, the shipped ones are loaded:\n%s", errors)  # noqa: TRY400  # says it all
            self.problem = str(errors)
            return load_rules(self._shipped)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path, text in rule_texts(self._paths):
            digest.update(f"{path}\0{len(text)}\0".encode("utf-8", "surrogateescape"))
            digest.update(text)
        return digest.hexdigest()


def brief(errors: str) -> str:
    """The first of the mistakes, bounded, and how many more there are."""
    first, *more = errors.splitlines() or [""]
    cut = first if len(first) <= MAX_BRIEF else f"{first[:MAX_BRIEF]}…"
    return f"{cut} (and {len(more)} more)" if more else cut
