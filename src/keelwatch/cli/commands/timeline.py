"""`keelwatch timeline`: all records of a workload merged into one stream."""

from __future__ import annotations

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.commands.alerts import output_text
from keelwatch.cli.commands.audit import audit_text
from keelwatch.cli.commands.events import event_text
from keelwatch.cli.commands.logs import instance
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import (
    HelpfulCommand,
    output_option,
    with_client,
    with_grep,
    with_setup,
    with_stream,
)
from keelwatch.cli.output import PRIORITY_STYLES, Record, emit, print_each, safe, styled
from keelwatch.kit.text import gap_text, lifecycle_text, session_text, short_time

_EXAMPLES = """
keelwatch timeline -n shop deploy/checkout --since 30m
keelwatch timeline pod/checkout-6c9f-x2x7p -o json
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@with_grep
@with_setup
@output_option("table", "json", "yaml")
def command(client: HubClient, filters: dict[str, str], output: str) -> None:
    """Print all records of WORKLOAD as one stream, oldest first.

    WORKLOAD is a name (checkout), KIND/NAME (deploy/checkout, sts/db) or pod/NAME.
    """
    records = client.records("/api/v1/timeline", filters)
    found = print_each(records, output, lambda one: emit(timeline_line(one)), live="follow" in filters)
    tell_amount(client, filters, "records", found)


def timeline_line(record: Record) -> str:
    """`time RECORD pod/container text`."""
    kind = str(record.get("record", ""))
    when = styled(short_time(str(record.get("time", "")), digits=3), "dim")
    return f"{when} {_label(kind, record)} {instance(record)} {_text(kind, record)}".rstrip()


def _label(kind: str, record: Record) -> str:
    priority = str(record.get("priority", "")).lower()
    style = PRIORITY_STYLES.get(priority, "bold") if kind == "alert" else {"gap": "yellow"}.get(kind, "dim")
    return styled(f"{safe(kind):<9}", style)


def _text(kind: str, record: Record) -> str:
    if kind == "log":
        return safe(record.get("message", ""))
    if kind == "event":
        return event_text(record)
    if kind == "alert":
        return f"{styled(safe(record.get('rule', '')), 'bold')}: {safe(output_text(record))}"
    if kind == "audit":
        return audit_text(record)
    if kind == "gap":
        return safe(gap_text(record))
    if kind == "access":
        return safe(session_text(record))
    return safe(lifecycle_text(record))
