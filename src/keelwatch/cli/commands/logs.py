"""`keelwatch logs`: lines of all instances of a workload, in one stream."""

from __future__ import annotations

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import HelpfulCommand, output_option, with_client, with_grep, with_stream
from keelwatch.cli.output import Record, emit, print_each, safe, styled, wheel
from keelwatch.kit.text import short_time

_EXAMPLES = """
keelwatch logs -n shop deploy/checkout               # all instances, the deleted ones included
keelwatch logs -n shop deploy/checkout -f --grep ERROR
keelwatch logs -l app=checkout --since 10m --tail 200
keelwatch logs pod/checkout-6c9f-x2x7p -c app --stream stderr
keelwatch logs -n shop checkout -o json | jq .message
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@with_grep
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--timestamps", is_flag=True, help="Print the whole time, to the nanosecond.")
@click.option("--no-prefix", is_flag=True, help="Print only the message.")
@output_option("table", "json", "yaml")
def command(
    client: HubClient,
    filters: dict[str, str],
    stream: str | None,
    output: str,
    *,
    timestamps: bool,
    no_prefix: bool,
) -> None:
    """Print the log lines of WORKLOAD's containers, oldest first, the deleted ones included.

    WORKLOAD is a name (checkout), KIND/NAME (deploy/checkout, sts/db) or pod/NAME.
    """

    def show(line: Record) -> None:
        emit(log_line(line, timestamps=timestamps, prefix=not no_prefix))

    if stream:
        filters["stream"] = stream
    found = print_each(client.records("/api/v1/logs", filters), output, show, live="follow" in filters)
    tell_amount(client, filters, "log lines", found)


def log_line(line: Record, *, timestamps: bool = False, prefix: bool = True) -> str:
    """`time pod/container message`, the instance in a colour of its own, stderr's message in red."""
    message = safe(line.get("message", ""))
    if line.get("stream") == "stderr":
        message = styled(message, "red")
    time = str(line.get("time", ""))
    if not prefix:
        return f"{time} {message}" if timestamps else message
    when = time if timestamps else short_time(time, digits=3)
    return f"{styled(when, 'dim')} {instance(line)} {message}"


def instance(record: Record) -> str:
    """`pod/container` in the pod's colour; outside Kubernetes the container's name or short id."""
    pod, container = record.get("pod", ""), record.get("container", "")
    short_id = str(record.get("container_id", ""))[:12]
    named = "/".join(part for part in (pod, container) if part)
    name = named or short_id or record.get("node", "") or "-"
    return wheel(safe(name), f"{pod}{container}{short_id}")
