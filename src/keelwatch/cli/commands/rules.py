"""`keelwatch rules`: check rule files before they go live, and list what is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keelwatch.cli.errors import NOT_FOUND, OK, USAGE, CliError
from keelwatch.cli.options import HelpfulCommand, output_option, write_examples
from keelwatch.cli.output import (
    PRIORITY_STYLES,
    Record,
    emit,
    print_json,
    print_table,
    print_yaml,
    safe,
    styled,
)
from keelwatch.detect import RuleError, RuleErrors, RuleSet, default_rules_dir, load_rules
from keelwatch.detect.errors import Problems
from keelwatch.detect.rules import rule_files

_CHECK_EXAMPLES = """
keelwatch rules check my-rules.yaml
keelwatch rules check --with-default /etc/keelwatch/rules -o json
"""
_LIST_EXAMPLES = """
keelwatch rules list
keelwatch rules list --rules /etc/keelwatch/rules -o json | jq -r .rule
"""
_PATH = click.Path(path_type=Path, exists=True)


class _Rules(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples of both subcommands."""
        del ctx
        write_examples(_CHECK_EXAMPLES.strip() + "\n" + _LIST_EXAMPLES.strip(), formatter)


@click.group(cls=_Rules)
def command() -> None:
    """Check and list detection rules (Falco's rule language)."""


@command.command(cls=HelpfulCommand, examples=_CHECK_EXAMPLES)
@click.argument("paths", nargs=-1, required=True, type=_PATH, metavar="PATH...")
@click.option("--with-default", is_flag=True, help="Load the shipped rules first.")
@output_option("table", "json", "yaml")
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], output: str, *, with_default: bool) -> None:
    """Check rule files or folders; report every mistake with file, line and column.

    Ends with status 1 if there is a mistake. Warnings do not change the status.
    """
    for path in paths:
        if not rule_files([path], Problems()):
            raise CliError(f"{path}: no rule files", USAGE, "Rule files end in .yaml or .yml.")
    chosen = (default_rules_dir(), *paths) if with_default else paths
    loaded: RuleSet | None = None
    try:
        loaded = load_rules(chosen)
        errors: list[RuleError] = []
        warnings = list(loaded.warnings)
    except RuleErrors as found:
        errors, warnings = found.errors, found.warnings
    for level, problems in (("error", errors), ("warning", warnings)):
        for problem in problems:
            _print_problem(level, problem, output)
    if output == "table":
        count = len(loaded.rules) if loaded else 0
        emit(f"{len(errors)} errors, {len(warnings)} warnings" + ("." if errors else f", {count} rules."))
    ctx.exit(NOT_FOUND if errors else OK)


def _print_problem(level: str, problem: RuleError, output: str) -> None:
    place = {"file": problem.file, "line": problem.line, "column": problem.column}
    if output != "table":
        record = {"level": level, **place, "message": problem.message, "hint": problem.hint}
        (print_json if output == "json" else print_yaml)(record)
        return
    where = f"{problem.file}:{problem.line}:{problem.column}"
    label = styled(level, "strong-red" if level == "error" else "yellow")
    emit(f"{styled(safe(where), 'bold')}: {label}: {safe(problem.message)}")
    if problem.hint:
        emit(f"    → {safe(problem.hint)}")


@command.command("list", cls=HelpfulCommand, examples=_LIST_EXAMPLES)
@click.option("--rules", "paths", multiple=True, type=_PATH, metavar="PATH", help="Rules of your own, too.")
@click.option("--no-default-rules", is_flag=True, help="Leave the shipped rules out.")
@output_option("table", "json", "yaml")
@click.pass_context
def list_(ctx: click.Context, paths: tuple[Path, ...], output: str, *, no_default_rules: bool) -> None:
    """List the rules an agent would load with the same options."""
    chosen = paths if no_default_rules else (default_rules_dir(), *paths)
    try:
        loaded = load_rules(chosen)
    except RuleErrors as found:
        for problem in found.errors:
            _print_problem("error", problem, output)
        ctx.exit(NOT_FOUND)
    if output == "table":
        _print_rules(loaded)
        return
    for rule in loaded.rules:
        (print_json if output == "json" else print_yaml)(_row(rule))


def _row(rule: Any) -> Record:
    """What is shown of a rule, by its documented name."""
    return {
        "rule": rule.name,
        "priority": rule.priority,
        "enabled": rule.enabled,
        "tags": list(rule.tags),
        "kinds": sorted(rule.kinds),
        "file": str(rule.place.file),
        "line": rule.place.line,
        "desc": rule.desc,
    }


def _print_rules(loaded: RuleSet) -> None:
    rows = [
        [r.priority, r.name, "yes" if r.enabled else "no", ",".join(sorted(r.kinds)), r.desc]
        for r in loaded.rules
    ]

    def style(column: int, text: str) -> str:
        return PRIORITY_STYLES.get(text.strip().lower(), "") if column == 0 else ""

    print_table(("PRIORITY", "RULE", "ENABLED", "EVENTS", "DESCRIPTION"), rows, style)
