"""Everything that can be said about rule files at once: for `keelwatch rules check` and `rules list`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keelwatch.detect.errors import Problems, RuleError, RuleErrors, RuleWarning
from keelwatch.detect.rules import RuleSet, load_rules, rule_files
from keelwatch.detect.samples import Sample, check_samples, load_samples, sample_file


@dataclass(slots=True)
class Report:
    """What a check found. `rules` is None when the files cannot be loaded."""

    rules: RuleSet | None = None
    errors: list[RuleError] = field(default_factory=list)
    warnings: list[RuleWarning] = field(default_factory=list)
    samples: int = 0
    without_samples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the rules load and do what their samples say."""
        return not self.errors


def check_rules(paths: Sequence[Path], base: Sequence[Path] = ()) -> Report:
    """Load rule files on top of `base` (the product's, say), and try their samples on them."""
    try:
        rules = load_rules([*base, *paths])
    except RuleErrors as found:
        return Report(errors=found.errors, warnings=found.warnings)
    report = Report(rules, warnings=list(rules.warnings))
    problems = Problems()
    samples: list[Sample] = []
    files = rule_files(paths, problems)
    for file in files:
        if sample_file(file).is_file():
            samples += load_samples(sample_file(file), problems)
    report.samples = len(samples)
    report.errors = [*problems.errors, *check_samples(rules, samples)]
    mine = {str(file) for file in files}
    tried = {sample.rule for sample in samples}
    own = [rule.name for rule in rules.rules if rule.place.file in mine]
    report.without_samples = [name for name in own if name not in tried]
    return report
