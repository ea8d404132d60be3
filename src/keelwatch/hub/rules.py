"""The rules that the hub itself applies (to audit events), read again when their files change.

A ConfigMap changes while the hub runs. Files that do not load are told, and the rules stay as they were.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from keelwatch.detect import RuleErrors, RuleSet, default_rules_dir, load_rules
from keelwatch.detect.errors import Problems
from keelwatch.detect.rules import rule_files

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 10.0

_Signature: TypeAlias = list[tuple[str, int, int, int]]


class Rules:
    """Call it for the rules in force. Raise RuleErrors if the files do not load at the start."""

    def __init__(self, paths: Sequence[Path], *, default_rules: bool = True) -> None:
        self._paths = [*([default_rules_dir()] if default_rules else []), *paths]
        self._signature = signature(self._paths)
        self._rules = load_rules(self._paths)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def __call__(self) -> RuleSet:
        """The rules in force now."""
        return self._rules

    def start(self) -> None:
        """Begin to watch the files."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def reload(self) -> bool:
        """Load the files again if they have changed; whether new rules are in force."""
        found = signature(self._paths)
        if found == self._signature:
            return False
        self._signature = found
        try:
            self._rules = load_rules(self._paths)
        except RuleErrors as errors:
            _log.error("the changed rules do not load, those before stay in force: %s", errors)
            return False
        _log.info("%d rules are in force: their files have changed", len(self._rules.rules))
        return True

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            self.reload()


def signature(paths: Sequence[Path]) -> _Signature:
    """What tells whether files have changed; a file that is not there is left out."""
    found: _Signature = []
    for path in rule_files([path for path in paths if path.exists()], Problems()):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found.append((str(path), state.st_ino, state.st_size, state.st_mtime_ns))
    return found
