"""`keelwatch compare`: what only some instances of a workload have."""

from __future__ import annotations

import sys
from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.options import HelpfulCommand, output_option, with_client, with_filters, with_grep
from keelwatch.cli.output import Record, print_json, print_table, print_yaml, safe

_EXAMPLES = """
keelwatch compare -n shop deploy/checkout                     # lines, the rarest first
keelwatch compare deploy/checkout --by process --at-most 1    # programs that one instance alone has run
keelwatch compare sts/db --by file --since 7d -o json
"""
_WIDTH = 120


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_filters
@with_grep
@click.option("--by", type=click.Choice(["line", "process", "file"]), default="line", show_default=True,
              help="What is compared; in lines numbers and ids count as equal.")  # fmt: skip
@click.option("--at-most", type=click.IntRange(1), metavar="N", help="Only what at most N instances have.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows.")
@output_option("table", "json", "yaml")
def command(
    client: HubClient, filters: dict[str, str], by: str, at_most: int | None, limit: int, output: str
) -> None:
    """Compare WORKLOAD's instances, living and gone: which lines, programs and files only some have.

    Without --since those of the last day. WORKLOAD is as for `keelwatch logs`.
    """
    asked = filters | {"by": by, "limit": str(limit)} | ({"at_most": str(at_most)} if at_most else {})
    found = client.get("/api/v1/compare", asked)
    if output == "table":
        _print(found["values"], by)
        return
    for value in found["values"]:
        (print_json if output == "json" else print_yaml)(value)


def _print(values: list[Record], by: str) -> None:
    if not values:
        sys.stderr.write("Nothing to compare.\n")
        return
    print_table(("INSTANCES", "RECORDS", "CONTAINER", "AMONG", by.upper()), [_cells(one) for one in values])


def _cells(one: Record) -> list[Any]:
    among = one.get("among") or [{}]
    more = f" +{one['instances'] - 1}" if one["instances"] > 1 else ""
    who = among[0].get("pod") or str(among[0].get("container_id", ""))[:12]
    text = safe(one.get("value", ""))
    shown = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
    return [f"{one['instances']} of {one['of']}", one["records"], one["container"], f"{who}{more}", shown]
