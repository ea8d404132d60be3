"""`keelwatch workloads`: the list, or one workload's instances."""

from __future__ import annotations

import sys
from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.errors import NOT_FOUND, CliError
from keelwatch.cli.options import HelpfulCommand, output_option, with_client, with_filters
from keelwatch.cli.output import Record, print_json, print_table, print_yaml
from keelwatch.kit.text import age

_EXAMPLES = """
keelwatch workloads -n shop
keelwatch workloads -n shop deploy/checkout      # its instances, living and gone
keelwatch workloads -o json | jq -r .workload
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_filters
@output_option("table", "json", "yaml")
def command(client: HubClient, filters: dict[str, str], output: str) -> None:
    """List workloads with what was recorded of them; with WORKLOAD, its instances."""
    found = client.get("/api/v1/workloads", filters)["workloads"]
    named = "workload" in filters or "pod" in filters
    if named and not found:
        raise CliError("no such workload", NOT_FOUND, "`keelwatch workloads` lists all of them.")
    if output == "table":
        _print_instances(found) if named else _print_workloads(found)
        return
    for workload in found:
        (print_json if output == "json" else print_yaml)(workload)


def _print_workloads(workloads: list[Record]) -> None:
    if not workloads:
        sys.stderr.write("No workloads found.\n")
        return
    heads = ("NAMESPACE", "KIND", "NAME", "RUNNING", "INSTANCES", "LOGS", "EVENTS", "ALERTS", "LAST SEEN")
    print_table(heads, [_cells(workload) for workload in workloads])


def _cells(workload: Record) -> list[Any]:
    instances = workload.get("instances") or []
    running = sum(1 for one in instances if one.get("state") == "running")
    counts = [workload.get(name, 0) for name in ("logs", "events", "alerts")]
    names = [workload.get(name, "") for name in ("namespace", "workload_kind", "workload")]
    return [*names, running, len(instances), *counts, age(str(workload.get("last_seen") or ""))]


def _print_instances(workloads: list[Record]) -> None:
    heads = ("WORKLOAD", "POD", "CONTAINER", "ID", "STATE", "FIRST SEEN", "LAST SEEN", "NODE", "IMAGE")
    rows = [_instance(workload, one) for workload in workloads for one in workload.get("instances") or []]
    print_table(heads, rows)


def _instance(workload: Record, one: Record) -> list[Any]:
    seen = [age(str(one.get(name) or "")) for name in ("first_seen", "last_seen")]
    short_id = str(one.get("container_id", ""))[:12]
    return [workload.get("workload", ""), one.get("pod", ""), one.get("container", ""), short_id,
            one.get("state", ""), *seen, one.get("node", ""), one.get("image", "")]  # fmt: skip
