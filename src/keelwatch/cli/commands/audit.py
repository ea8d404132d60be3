"""`keelwatch audit`: what was asked of the API server, by whom, from where."""

from __future__ import annotations

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import HelpfulCommand, output_option, with_client, with_grep, with_stream
from keelwatch.cli.output import Record, emit, print_each, safe, styled
from keelwatch.kit.text import acting, short_time, target_text

LONGEST = 200
_EXAMPLES = """
keelwatch audit --since 1h
keelwatch audit -n shop deploy/checkout
keelwatch audit --user alice --resource pods --subresource exec -o json
keelwatch audit --verb delete -f
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@with_grep
@click.option("--user", metavar="NAME", help="Only requests of this user.")
@click.option("--verb", metavar="VERB", help="Only this verb: get, list, create, patch, delete …")
@click.option("--resource", metavar="NAME", help="Only this resource: pods, secrets, clusterrolebindings …")
@click.option("--subresource", metavar="NAME", help="Only this subresource: exec, attach, token …")
@click.option("--name", metavar="NAME", help="Only this object.")
@click.option("--audit-id", metavar="ID", help="Only this request.")
@output_option("table", "json", "yaml")
def command(client: HubClient, filters: dict[str, str], output: str, **own: str | None) -> None:
    """Print requests to the API server, oldest first; with WORKLOAD, those about it and its pods.

    The API server has to send or write its audit log: docs/how-to/audit.md.
    An exec is the verb get for current clients (over a WebSocket), create for older ones.
    """
    filters |= {name: value for name, value in own.items() if value}

    def show(record: Record) -> None:
        when = styled(short_time(str(record.get("time", "")), digits=3), "dim")
        emit(f"{when} {audit_text(record)}")

    found = print_each(client.records("/api/v1/audit", filters), output, show, live="follow" in filters)
    tell_amount(client, filters, "requests", found)


def audit_text(record: Record) -> str:
    """The request in one line: who, what, the answer, from where."""
    code = record.get("code") or 0
    stage = str(record.get("stage", ""))
    parts = [
        styled(safe(acting(record) or "(nobody)"), "bold"),
        styled(safe(record.get("verb", "")), "cyan"),
        safe(target_text(record)),
        styled(str(code or "-"), "yellow" if isinstance(code, int) and code >= 400 else "dim"),
        "" if stage == "ResponseComplete" else styled(safe(stage), "dim"),
        styled(safe(_short(str(record.get("command", "")))), "dim"),
        styled(safe(",".join(record.get("source_ips") or ())), "dim"),
    ]
    return " ".join(part for part in parts if part)


def _short(text: str) -> str:
    """A command can be as long as a URI."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
