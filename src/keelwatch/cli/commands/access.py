"""`keelwatch access`: who entered containers by the API server, and one session with what it did."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import click

from keelwatch.cli.access_tree import print_session
from keelwatch.cli.client import HubClient
from keelwatch.cli.commands.alerts import ListOrShow, workload
from keelwatch.cli.errors import USAGE, CliError
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import (
    HelpfulCommand,
    output_option,
    with_client,
    with_filters,
    with_grep,
    write_examples,
)
from keelwatch.cli.output import Record, emit, print_each, print_json, print_table, print_yaml, safe
from keelwatch.kit.text import acting, duration, parse_time, short_time
from keelwatch.query.access import CONFIDENCES, KINDS

CONFIDENCE_STYLES = {"certain": "green", "likely": "", "ambiguous": "yellow", "none": "dim"}
_ID = re.compile(r"[A-Za-z0-9._~-]{8,200}")
_EXAMPLES = """
keelwatch access --since 24h
keelwatch access -n shop deploy/checkout --user alice
keelwatch access --confidence ambiguous -o json
keelwatch access show 79cee2a2
"""


class Sessions(ListOrShow):
    """`list` without a subcommand; an audit ID, which no workload is called like, means `show`."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        write_examples(_EXAMPLES, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` in front of what looks like an audit ID."""
        if args and re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{1,150}(~[0-9a-f]+)?", args[0]):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Sessions, subcommand_metavar="[WORKLOAD] | [show] ID")
def command() -> None:
    """Print who entered containers by kubectl exec, attach, debug or port-forward, or one session.

    A session ties a request of the API server's audit to the processes that it started in the
    container, with how sure that is. WORKLOAD is a name (checkout), KIND/NAME (deploy/checkout) or
    pod/NAME.
    """


@command.command("list", cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_filters
@with_grep
@click.option("--user", metavar="NAME", help="Only this user's, or those as whom one acted.")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help=f"Only this: {', '.join(KINDS)}.")
@click.option("--confidence", type=click.Choice(CONFIDENCES), metavar="WORD",
              help=f"Only those that are so sure: {', '.join(CONFIDENCES)}.")  # fmt: skip
@click.option("--tail", type=click.IntRange(0, 100_000), metavar="N", help="The last N rather than 1000.")
@output_option("table", "json", "yaml")
def list_(
    client: HubClient, filters: dict[str, str], tail: int | None, output: str, **own: str | None
) -> None:
    """Print access sessions, oldest first."""
    filters |= {name: value for name, value in own.items() if value}
    if tail is not None:
        filters["tail"] = str(tail)
    records = client.records("/api/v1/access", filters)
    if output == "table":
        found = list(records)
        count = len(found)
        if found:
            heads = ("TIME (UTC)", "ID", "USER", "FROM", "KIND", "WORKLOAD", "POD", "CONTAINER", "LASTED",
                     "EVENTS", "ALERTS", "FILES", "CONFIDENCE", "COMMAND")  # fmt: skip
            print_table(heads, [_cells(one) for one in found], _style)
    else:
        count = print_each(records, output, lambda one: emit(str(one)))
    tell_amount(client, filters, "sessions", count)


def _cells(session: Record) -> list[Any]:
    return [
        short_time(str(session.get("time", ""))),
        str(session.get("id", ""))[:8],
        acting(session),
        (session.get("source_ips") or [""])[-1],
        session.get("kind", ""),
        workload(session) if session.get("workload") else session.get("namespace", ""),
        session.get("pod", ""),
        session.get("container", ""),
        lasted(session),
        session.get("events", ""),
        session.get("alerts", ""),
        session.get("files", ""),
        session.get("confidence", ""),
        session.get("command") or session.get("debug_image") or "",
    ]


def _style(column: int, text: str) -> str:
    if column == 12:
        return CONFIDENCE_STYLES.get(text.strip(), "")
    return {0: "dim", 1: "dim", 2: "bold"}.get(column, "")


def lasted(session: Record) -> str:
    """How long a session lasted, or that it does; and whether processes of it were not seen to end."""
    begin, end = (parse_time(str(session.get(name) or "")) for name in ("time", "ended"))
    if begin is None or end is None:
        return "open"
    seconds = (end - begin).total_seconds()
    text = duration(int(seconds)) if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    return f"{text} (left running)" if session.get("running") else text


@command.command(cls=HelpfulCommand, examples="keelwatch access show 79cee2a2 -o yaml")
@with_client
@click.argument("id_", metavar="ID")
@output_option("table", "json", "yaml")
def show(client: HubClient, id_: str, output: str) -> None:
    """Print the session ID: who, from where, how sure, and the tree of what was done.

    The beginning of an ID is enough where no other session's begins like it.
    """
    if not _ID.fullmatch(id_):
        raise CliError(f"{safe(id_)!r} is not a session's ID", USAGE, "`keelwatch access` lists them.")
    session = client.get(f"/api/v1/access/{quote(id_, safe='')}")
    if output == "table":
        print_session(session, acting(session), lasted(session))
    else:
        (print_json if output == "json" else print_yaml)(session)
