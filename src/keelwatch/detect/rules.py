"""The rules in force: loaded from files, matched against events, turned into alerts.

load → definitions → resolve → specialize → compile
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from keelwatch.detect import ast
from keelwatch.detect.compile import Matcher, compile_kind
from keelwatch.detect.definitions import Definition, define
from keelwatch.detect.errors import Place, Problems, RuleErrors, RuleWarning, similar
from keelwatch.detect.fields import SOURCES, TYPES
from keelwatch.detect.load import MAX_FILE, Item, load
from keelwatch.detect.output import Template, parse_template
from keelwatch.detect.resolve import Resolver
from keelwatch.detect.specialize import kinds_of
from keelwatch.detect.ulid import new_ulid
from keelwatch.model.audit import AuditEvent
from keelwatch.model.event import Alert, Event

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule. `kinds` are the event kinds that it can fire on."""

    name: str
    desc: str
    condition: ast.Node
    output: Template
    priority: str
    tags: tuple[str, ...]
    source: str
    enabled: bool
    place: Place
    kinds: frozenset[str]

    def alert(self, event: Event) -> Alert:
        """The alert of this rule for an event that it fires on."""
        return Alert(
            id=new_ulid(event.time),
            rule=self.name,
            priority=self.priority,
            tags=self.tags,
            output=self.output.format(event),
            event=event,
        )


class RuleSet:
    """All rules, compiled. Immutable, and safe to use from several threads."""

    def __init__(self, rules: Sequence[Rule], warnings: Sequence[RuleWarning] = ()) -> None:
        self.rules = tuple(rules)
        self.warnings = tuple(warnings)
        active = [rule for rule in self.rules if rule.enabled and rule.kinds]
        self.kinds: frozenset[str] = frozenset(kind for rule in active for kind in rule.kinds)
        self._matchers: dict[str, Matcher] = {kind: _matcher(active, kind) for kind in sorted(self.kinds)}

    def match(self, event: Event | AuditEvent) -> list[Rule]:
        """Every rule that fires on the event, in the order of their definition."""
        matcher = self._matchers.get(event.kind)
        return matcher(event) if matcher is not None else []

    def alerts(self, event: Event) -> list[Alert]:
        """One alert for every rule that fires on the event."""
        return [rule.alert(event) for rule in self.match(event)]


def _matcher(rules: list[Rule], kind: str) -> Matcher:
    concerned = [rule for rule in rules if kind in rule.kinds]
    matcher = compile_kind([rule.condition for rule in concerned], concerned, kind)
    order = {rule: number for number, rule in enumerate(concerned)}

    def match(event: Event | AuditEvent) -> list[Rule]:
        hits: list[Rule] = matcher(event)
        return sorted(hits, key=order.__getitem__) if len(hits) > 1 else hits

    return match


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """Load rule files and the rule files of directories, in this order; later ones may override.

    Raises RuleErrors with every mistake of every file.
    """
    problems = Problems()
    items: list[Item] = []
    for path in rule_files(paths, problems):
        items += load(str(path), _read(path, problems), problems)
    return build(items, problems)


def rule_texts(paths: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """The rule files that load_rules would load, with what they hold now; b"" for one it cannot read."""
    problems = Problems()
    for path in rule_files(paths, problems):
        yield path, _read(path, problems)


def parse_rules(text: str | bytes, file: str = "<rules>") -> RuleSet:
    """Load rules from text, as a file of this name would be."""
    problems = Problems()
    data = text.encode() if isinstance(text, str) else text
    return build(load(file, data, problems), problems)


def build(items: Iterable[Item], problems: Problems) -> RuleSet:
    """Make the rules that the items define; raise RuleErrors if anything is wrong with any."""
    known = define(items, problems)
    resolver = Resolver(known, problems)
    resolver.check_all()
    made = [_rule(rule, resolver, problems) for rule in known.rule.values()]
    if problems.errors:
        raise RuleErrors(sorted(problems.errors), sorted(problems.warnings))
    return RuleSet([rule for rule in made if rule is not None], sorted(problems.warnings))


def _rule(definition: Definition, resolver: Resolver, problems: Problems) -> Rule | None:
    if definition.source not in SOURCES:
        problems.warn(
            definition.place, f"rule {definition.name!r} is left out: no source {definition.source!r} yet"
        )
        return None
    condition = resolver.condition(definition)
    output = (
        parse_template(definition.output, problems, definition.source) if definition.output else Template(())
    )
    if condition is None:
        return None
    kinds = kinds_of(condition, definition.source)
    if definition.enabled:
        _warn(definition, condition, kinds, problems)
    return Rule(
        name=definition.name,
        desc=" ".join(definition.desc.value.split()) if definition.desc else "",
        condition=condition,
        output=output,
        priority=definition.priority,
        tags=tuple(tag.value for tag in definition.tags),
        source=definition.source,
        enabled=definition.enabled,
        place=definition.place,
        kinds=kinds,
    )


def _warn(definition: Definition, condition: ast.Node, kinds: frozenset[str], problems: Problems) -> None:
    """Say what of a rule cannot work yet."""
    tests = [node for node in ast.walk(condition) if isinstance(node, ast.Test)]
    absent = {test.field.name: test.field.missing for test in tests if not test.field.supplied}
    fields = ", ".join(f"{name} ({why})" for name, why in absent.items())
    place = definition.place
    observed = {name for names in TYPES.values() for name in names}
    types = sorted(_event_types(tests) - observed)
    meant = next(filter(None, (similar(name, observed) for name in types)), "")
    if not kinds:
        because = f"; not supplied: {fields}" if fields else ""
        because += f"; not observed: {', '.join(types)}" if types else ""
        problems.warn(place, f"rule {definition.name!r} never fires{because}", meant)
    elif types:
        what = f"tests event types that are not observed: {', '.join(types)}"
        problems.warn(place, f"rule {definition.name!r} {what}", meant)
    for note in sorted({test.field.caveat for test in tests if test.field.caveat}):
        problems.warn(place, f"rule {definition.name!r}: {note}")
    if kinds and fields:
        problems.warn(
            place, f"rule {definition.name!r} tests what no event has yet, which is false: {fields}"
        )


def _event_types(tests: Iterable[ast.Test]) -> set[str]:
    named = (test for test in tests if test.field.name == "evt.type")
    return {str(constant) for test in named for constant in test.constants}


def rule_files(paths: Sequence[Path], problems: Problems) -> list[Path]:
    """The files that are meant by files and directories (`*.yaml`, in order of name)."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
            if not inside:
                problems.warn(Place(str(path)), "no rule files in this directory", "rule files end in .yaml")
            found += inside
        else:
            found.append(path)
    return found


def _read(path: Path, problems: Problems) -> bytes:
    """The file, or a little more than is allowed of it: load() refuses that."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        problems.error(Place(str(path)), f"cannot be read: {os.strerror(error.errno or 0)}")
        return b""


def default_rules_dir() -> Path:
    """Where the rules that come with keelwatch are: in the package, or in a source checkout."""
    inside = Path(__file__).resolve().parents[1] / "rules"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "rules"
