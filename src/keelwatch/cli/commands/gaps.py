"""`keelwatch gaps`: what was not observed."""

from __future__ import annotations

from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.commands.alerts import workload
from keelwatch.cli.commands.timeline import timeline_line
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import HelpfulCommand, output_option, with_client, with_stream
from keelwatch.cli.output import Record, emit, print_each, print_table
from keelwatch.kit.text import amount_of, short_time
from keelwatch.model.gap import CAUSES
from keelwatch.model.observation import KINDS

_WHAT = ("all", *KINDS, "logs", "events", "alerts", "lifecycle", "gaps", "hub")
"""Everything that a gap can be a gap of: event classes, tables, and the whole."""
_EXAMPLES = """
keelwatch gaps --since 24h
keelwatch gaps --cause ring_full -o json
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@click.option("--what", type=click.Choice(_WHAT), metavar="CLASS",
              help="Only this event class or table; all: the agent was down; hub: the hub was.")  # fmt: skip
@click.option("--cause", type=click.Choice(list(CAUSES)), metavar="CAUSE", help="Only this cause.")
@output_option("table", "json", "yaml")
def command(
    client: HubClient, filters: dict[str, str], what: str | None, cause: str | None, output: str
) -> None:
    """List intervals in which something was not observed, with the cause and the amount."""
    filters |= {name: value for name, value in (("what", what), ("cause", cause)) if value}
    records = client.records("/api/v1/gaps", filters)
    if output != "table" or "follow" in filters:
        count = print_each(records, output, _line, live="follow" in filters)
    else:
        gaps = list(records)
        _print_gaps(gaps)
        count = len(gaps)
    tell_amount(client, filters, "gaps", count)


def _print_gaps(gaps: list[Record]) -> None:
    if gaps:
        heads = ("FROM (UTC)", "TO (UTC)", "NODE", "WHAT", "CAUSE", "LOST", "WORKLOAD", "DETAIL")
        print_table(heads, [_cells(gap) for gap in gaps])


def _line(gap: Record) -> None:
    emit(timeline_line({"record": "gap", **gap}))


def _cells(gap: Record) -> list[Any]:
    times = [short_time(str(gap.get(name, ""))) for name in ("from_time", "to_time")]
    where = workload(gap) if gap.get("workload") else ""
    return [*times, *(gap.get(name, "") for name in ("node", "what", "cause")), amount_of(gap), where,
            gap.get("detail") or CAUSES.get(str(gap.get("cause", "")), "")]  # fmt: skip
