"""`keelwatch events`: what processes in containers did."""

from __future__ import annotations

import click

from keelwatch.cli.client import HubClient
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
from keelwatch.cli.output import Record, emit, print_each, safe, styled
from keelwatch.kit.text import ending, short_time
from keelwatch.model.observation import KINDS

_KINDS = tuple(kind for kind in KINDS if kind != "fork")  # that only moves the process tree
_EXAMPLES = """
keelwatch events -n shop deploy/checkout --since 10m
keelwatch events --kind exec -f
keelwatch events --kind setns --since 24h -o json
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@with_grep
@with_setup
@click.option(
    "--kind", type=click.Choice(_KINDS), metavar="KIND", help=f"Only this class: {', '.join(_KINDS)}."
)
@click.option("--type", "type_", metavar="SYSCALL", help="Only this system call: execve, openat …")
@output_option("table", "json", "yaml")
def command(
    client: HubClient, filters: dict[str, str], kind: str | None, type_: str | None, output: str
) -> None:
    """Print events of WORKLOAD's containers, oldest first.

    WORKLOAD is a name (checkout), KIND/NAME (deploy/checkout, sts/db) or pod/NAME.
    """
    filters |= {name: value for name, value in (("kind", kind), ("type", type_)) if value}

    def show(event: Record) -> None:
        when = styled(short_time(str(event.get("time", "")), digits=3), "dim")
        emit(f"{when} {instance(event)} {event_text(event)}")

    found = print_each(client.records("/api/v1/events", filters), output, show, live="follow" in filters)
    tell_amount(client, filters, "events", found)


def event_text(event: Record) -> str:
    """The event in one line: what was done, to what, by which process, and whether it failed."""
    process = event.get("process") or {}
    target = safe(event.get("path", "")) or ending(event)
    if event.get("old_path"):
        target = f"{safe(event['old_path'])} → {target}"
    result = event.get("result", 0)
    failed = styled(f" failed ({result})", "yellow") if isinstance(result, int) and result < 0 else ""
    who = f"{process.get('name', '?')}[{process.get('pid', '?')}]"
    command_line = styled(safe(process.get("cmdline", "")), "dim")
    return (
        f"{styled(str(event.get('kind', '')), 'cyan')} {target}{failed} {safe(who)} {command_line}".rstrip()
    )
