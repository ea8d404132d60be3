"""Detection: Falco's rule language, compiled. Events in, alerts out; no input or output but rule files.

text → lexer → parser → ast → load → definitions → resolve → specialize → compile
"""

from keelwatch.detect.definitions import PRIORITIES
from keelwatch.detect.errors import RuleError, RuleErrors, RuleWarning
from keelwatch.detect.rules import Rule, RuleSet, default_rules_dir, load_rules, parse_rules, rule_texts

__all__ = [
    "PRIORITIES",
    "Rule",
    "RuleError",
    "RuleErrors",
    "RuleSet",
    "RuleWarning",
    "default_rules_dir",
    "load_rules",
    "parse_rules",
    "rule_texts",
]
