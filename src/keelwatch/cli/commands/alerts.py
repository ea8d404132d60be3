"""`keelwatch alerts`: the list, and one alert with its whole story."""

from __future__ import annotations

import re
from typing import Any

import click

from keelwatch.cli import story
from keelwatch.cli.client import HubClient
from keelwatch.cli.errors import USAGE, CliError
from keelwatch.cli.found import tell_amount
from keelwatch.cli.options import (
    PRIORITIES,
    HelpfulCommand,
    output_option,
    with_client,
    with_grep,
    with_stream,
    write_examples,
)
from keelwatch.cli.output import (
    PRIORITY_STYLES,
    Record,
    emit,
    print_each,
    print_json,
    print_table,
    print_yaml,
    safe,
    styled,
)
from keelwatch.kit.text import by_whom, short_time

_EXAMPLES = """
keelwatch alerts --since 1h
keelwatch alerts -n shop deploy/checkout --priority critical
keelwatch alerts -f -o json
keelwatch alerts show 01JDCNX4T9Y4V0
"""


class ListOrShow(click.Group):
    """A group that does `list` when no subcommand is named, so `alerts -n shop` just works."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of anything that is neither a subcommand nor a call for help."""
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of `list`: they are this command's, too."""
        self.commands["list"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        write_examples(_EXAMPLES, formatter)


@click.group(cls=ListOrShow, subcommand_metavar="[WORKLOAD] | show ID")
def command() -> None:
    """Print alerts, oldest first, or one alert with its whole story.

    WORKLOAD is a name (checkout), KIND/NAME (deploy/checkout, sts/db) or pod/NAME.
    """


@command.command("list", cls=HelpfulCommand, examples=_EXAMPLES)
@with_client
@with_stream
@with_grep
@click.option("--rule", metavar="NAME", help="Only this rule.")
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES, case_sensitive=False),
    metavar="LEVEL",
    help="This priority and above: emergency, alert, critical, error, warning, notice …",
)
@output_option("table", "json", "yaml")
def list_(
    client: HubClient, filters: dict[str, str], rule: str | None, priority: str | None, output: str
) -> None:
    """Print alerts, oldest first."""
    filters |= {name: value for name, value in (("rule", rule), ("priority", priority)) if value}
    records = client.records("/api/v1/alerts", filters)
    if output == "table" and "follow" not in filters:
        found = list(records)
        _print_alerts(found)
        count = len(found)
    else:
        count = print_each(records, output, lambda alert: emit(alert_line(alert)), live="follow" in filters)
    tell_amount(client, filters, "alerts", count)


def _print_alerts(alerts: list[Record]) -> None:
    if not alerts:
        return
    heads = ("TIME (UTC)", "ID", "PRIORITY", "RULE", "WORKLOAD", "POD", "CONTAINER", "USER", "OUTPUT")
    print_table(heads, [_cells(alert) for alert in alerts], _style)


def _cells(alert: Record) -> list[Any]:
    when = short_time(str(alert.get("time", "")))
    return [when, alert.get("id", ""), alert.get("priority", ""), alert.get("rule", ""), workload(alert),
            alert.get("pod", ""), alert.get("container", ""), by_whom(alert), output_text(alert)]  # fmt: skip


def _style(column: int, text: str) -> str:
    if column == 2:
        return PRIORITY_STYLES.get(text.strip().lower(), "")
    return "dim" if column < 2 else ""


def output_text(alert: Record) -> str:
    """The rule's output, with how many equal alerts it stands for."""
    count = alert.get("count", 1)
    text = str(alert.get("output", ""))
    return f"({count} times) {text}" if isinstance(count, int) and count > 1 else text


def workload(record: Record) -> str:
    """`namespace/workload`; the node's name for what happened on the host."""
    name, namespace = record.get("workload", ""), record.get("namespace", "")
    return "/".join(part for part in (namespace, name) if part) or f"node {record.get('node', '')}"


def alert_line(alert: Record) -> str:
    """The alert in one line, for streams."""
    priority = str(alert.get("priority", ""))
    when = styled(short_time(str(alert.get("time", "")), digits=3), "dim")
    level = styled(safe(priority), PRIORITY_STYLES.get(priority.lower(), ""))
    where = safe(workload(alert))
    who = f" by {safe(user)}" if (user := by_whom(alert)) else ""
    rule = styled(safe(alert.get("rule", "")), "bold")
    return f"{when} {level} {rule} {where}{who}: {safe(output_text(alert))}"


@command.command(cls=HelpfulCommand, examples="keelwatch alerts show 01JDCNX4T9Y4V0 -o yaml")
@with_client
@click.argument("id_", metavar="ID")
@output_option("table", "json", "yaml")
def show(client: HubClient, id_: str, output: str) -> None:
    """Print the alert ID: its story, who ran what, and the facts about the file.

    The beginning of an ID is enough where no other alert's begins like it.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,128}", id_):
        raise CliError(f"{id_!r} is not an alert's ID", USAGE, "`keelwatch alerts` lists them.")
    alert = client.get(f"/api/v1/alerts/{id_}")
    if output == "table":
        story.print_alert(alert)
    else:
        (print_json if output == "json" else print_yaml)(alert)
