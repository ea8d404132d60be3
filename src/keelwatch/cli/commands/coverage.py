"""`keelwatch coverage`: is monitoring in place everywhere, and where not, since when and why."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.coverage_tables import (
    away_rows,
    canary_rows,
    missing_rows,
    node_rows,
    percent_text,
    total_line,
)
from keelwatch.cli.errors import NOT_FOUND, CliError
from keelwatch.cli.options import HelpfulCommand, output_option, with_client
from keelwatch.cli.output import Record, emit, print_json, print_table, print_yaml, styled
from keelwatch.kit.text import short_time

GROUPS = ("cluster", "namespace", "workload", "team", "node", "container")
_EXAMPLES = """
keelwatch coverage                              # the last 24 hours, by workload
keelwatch coverage --by cluster --since 30d
keelwatch coverage -n shop deploy/checkout -o json
keelwatch coverage --scope pci=in --fail-under 100 && echo all of it
keelwatch coverage --canary                     # did each node's canary get through?
"""
_HEADS = {
    "cluster": ("CLUSTER",),
    "namespace": ("CLUSTER", "NAMESPACE"),
    "workload": ("NAMESPACE", "KIND", "NAME"),
    "team": ("TEAM",),
    "node": ("CLUSTER", "NODE"),
    "container": ("NAMESPACE", "POD", "CONTAINER", "NODE", "ID"),
}
_NAMES = {
    "cluster": ("cluster",),
    "namespace": ("cluster", "namespace"),
    "workload": ("namespace", "workload_kind", "workload"),
    "team": ("team",),
    "node": ("cluster", "node"),
    "container": ("namespace", "pod", "container", "node", "container_id"),
}
_OPTIONS = (
    click.option("-n", "--namespace", metavar="NAME", help="Only this namespace."),
    click.option("--cluster", metavar="NAME", help="Only this cluster."),
    click.option("--node", metavar="NAME", help="Only this node."),
    click.option("--team", metavar="NAME", help="Only workloads of this team."),
    click.option("--since", metavar="TIME", help="Newer than a duration (24h, 30d) or an RFC 3339 time."
                 " [default: 24h]"),
    click.option("--until", metavar="TIME", help="Older than that. [default: now]"),
    click.option("--scope", metavar="QUERY", help="Label selector of the namespaces in scope, or all."
                 " [default: as set on the hub]"),
    click.option("--by", type=click.Choice(GROUPS), default="workload", show_default=True,
                 help="One row each."),
    click.option("--limit", type=click.IntRange(0, 10_000), metavar="N", help="Most rows and containers."
                 " [default: 100]"),
)  # fmt: skip
_FILTERS = ("namespace", "cluster", "node", "team", "since", "until", "scope", "by", "limit")


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return click.argument("workload", required=False, metavar="[WORKLOAD]")(function)


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@_with_options
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT",
              help="Exit with 1 if events or logs were observed without loss for less.")  # fmt: skip
@click.option("--canary", is_flag=True, help="Show the canaries instead; with --fail-under, a beat that did"
              " not arrive fails, so does a silent canary or none at all.")  # fmt: skip
@output_option("table", "json", "yaml")
def command(client: HubClient, fail_under: float | None, canary: bool, output: str, **given: Any) -> None:
    """Show for how much of the time that containers ran they were observed, and what is missing and why.

    Events and logs are reckoned apart. Time in which the agent counted losses is not observed time.
    """
    filters = {name: str(given[name]) for name in _FILTERS if given[name] is not None}
    report = client.get("/api/v1/coverage", filters | _target(given["workload"]))
    if output != "table":
        (print_json if output == "json" else print_yaml)(report["canaries"] if canary else report)
    elif canary:
        _print_canaries(report)
    else:
        _print(report)
    if fail_under is not None:
        _judge_canaries(report) if canary else _judge(report, fail_under)


def _target(workload: str | None) -> dict[str, str]:
    kind, slash, name = (workload or "").partition("/")
    if slash and kind.lower() in ("po", "pod", "pods"):
        return {"pod": name}
    return {"workload": workload} if workload else {}


def _print(report: Record) -> None:
    emit(styled(_headline(report), "bold"))
    for line in _remarks(report):
        emit(styled(line, "yellow"))
    if report["groups"]:
        emit("")
        print_table(_heads(report["by"]), [_cells(report["by"], group) for group in report["groups"]])
    emit(total_line(report))
    _print_part("Not watched now", ("CLUSTER", "NODE", "SYSTEM", "WHY", "LAST SEEN"), node_rows(report))
    _print_part(
        "Missing, the longest first",
        ("FROM (UTC)", "TO (UTC)", "WHAT", "LENGTH", "WORKLOAD", "CONTAINER", "NODE", "CAUSE"),
        missing_rows(report),
    )
    _print_part(
        "Hub or network away; agents kept their records meanwhile",
        ("FROM (UTC)", "TO (UTC)", "NODE", "WHAT"),
        away_rows(report),
    )
    _print_sequences(report)


def _headline(report: Record) -> str:
    times = [short_time(report[name]) for name in ("from", "to")]
    return f"Coverage from {times[0]} to {times[1]} UTC, scope: {report['scope']}"


def _remarks(report: Record) -> Iterator[str]:
    """What the reader has to know about what keelwatch does not know."""
    if not report["inventories"]:
        yield "No API server was asked what ran: only containers that an agent told of are known."
    if report["inventory_off"]:
        yield f"The API server could not be watched {len(report['inventory_off'])} times: see inventory_off."
    if report["group_count"] > len(report["groups"]):
        yield f"The {len(report['groups'])} worst of {report['group_count']}; --limit N for more."


def _heads(by: str) -> tuple[str, ...]:
    return (*_HEADS[by], "CONTAINERS", "COMPLETE", "EVENTS", "LOGS", "WITH LOSS", "MOSTLY FOR")


def _cells(by: str, group: Record) -> list[Any]:
    names = [group.get(name, "") for name in _NAMES[by]]
    if by == "container":
        names[-1] = str(names[-1])[:12]
    causes: dict[str, float] = {}
    for kind in ("events", "logs"):
        for cause, seconds in group[kind]["missing"].items():
            causes[cause] = causes.get(cause, 0.0) + seconds
    lossy = max(float(group[kind]["with_loss"]) for kind in ("events", "logs"))
    return [
        *names,
        group["containers"],
        group["complete"],
        percent_text(group["events"]["percent"]),
        percent_text(group["logs"]["percent"]),
        f"{lossy:g} s" if lossy else "",
        max(causes, key=lambda cause: causes[cause], default=""),
    ]


def _print_part(title: str, heads: tuple[str, ...], rows: list[list[Any]]) -> None:
    if rows:
        emit("")
        emit(styled(title, "bold"))
        print_table(heads, rows)


def _print_sequences(report: Record) -> None:
    holes = [one for one in report["sequences"] if one["missing"]]
    batches = sum(one["batches"] for one in report["sequences"])
    emit("")
    if not holes:
        emit(f"Sequence: {batches} batches, none is missing without a gap that says so.")
    for one in holes:
        emit(styled(f"Sequence: {one['missing']} batches of {one['table']} are missing unexplained.", "red"))


def _print_canaries(report: Record) -> None:
    if not report["canaries"]:
        sys.stderr.write(
            "No canary ran in this time. The chart's value canary.enabled starts one on each node.\n"
        )
        return
    heads = ("CLUSTER", "NODE", "POD", "STATE", "LAST", "DUE", "LINES", "PROGRAMS", "MISSING")
    print_table(heads, canary_rows(report))


def _judge(report: Record, fail_under: float) -> None:
    percent = report["total"]["percent"]
    if percent is None:
        raise CliError("nothing is known of any container in this scope and time", NOT_FOUND)
    if percent < fail_under:
        text = f"{math.floor(percent * 1000) / 1000:g}"
        raise CliError(f"coverage is {text} %, less than {fail_under:g} %", NOT_FOUND)


def _judge_canaries(report: Record) -> None:
    missing = sum(one[kind]["missing_count"] for one in report["canaries"] for kind in ("events", "logs"))
    if missing or not report["canaries"]:
        raise CliError(f"{missing} beats of {len(report['canaries'])} canaries did not arrive", NOT_FOUND)
    if not any(one["due"] for one in report["canaries"]):
        raise CliError(
            "no canary was due in this time, so nothing is proven; ask for some minutes", NOT_FOUND
        )
