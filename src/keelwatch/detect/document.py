"""The last section of docs/reference/rules.md: the rules that come with keelwatch, from their files.

`python -m keelwatch.detect.document docs/reference/rules.md` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from keelwatch.detect.rules import Rule, RuleSet, default_rules_dir, load_rules

BEGIN = "| rule | priority | fires when | tags |\n|---|---|---|---|\n"


def render(rules: RuleSet) -> str:
    """One table for each file."""
    files = dict.fromkeys(Path(rule.place.file).name for rule in rules.rules)
    return "\n".join(f"### {file}\n\n{BEGIN}{_rows(rules, file)}" for file in files)


def _rows(rules: RuleSet, file: str) -> str:
    return "".join(_row(rule) for rule in rules.rules if Path(rule.place.file).name == file)


def _row(rule: Rule) -> str:
    cells = (rule.name, rule.priority, rule.desc.replace("|", "\\|"), ", ".join(rule.tags))
    return f"| {' | '.join(cells)} |\n"


def updated(page: str) -> str:
    """The page with its last section made anew."""
    head = page.partition("\n### ")[0].rstrip("\n")
    return f"{head}\n\n{render(load_rules([default_rules_dir()]))}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text()))
