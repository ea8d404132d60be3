"""`keelwatch status`: the hub's store and the agents that report to it."""

from __future__ import annotations

from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.options import HelpfulCommand, output_option, with_client
from keelwatch.cli.output import Record, emit, print_json, print_table, print_yaml, safe, styled
from keelwatch.cli.sizes import readable
from keelwatch.kit.text import age, amount_of, duration
from keelwatch.model.gap import CAUSES

CLOCK_SECONDS = 0.5


@click.command(cls=HelpfulCommand, examples="keelwatch status\nkeelwatch status -o json | jq .agents")
@with_client
@output_option("table", "json", "yaml")
def command(client: HubClient, output: str) -> None:
    """Show the hub's version, its store, the agents and the gaps of the last 24 hours."""
    status = client.get("/api/v1/status")
    if output != "table":
        (print_json if output == "json" else print_yaml)(status)
        return
    emit(f"hub {client.connection.hub}, version {safe(status.get('version', '?'))}, up {_uptime(status)}")
    for problem in status.get("problems") or []:
        emit(f"{styled('problem', 'yellow')} {safe(problem)}")
    _print_store(status.get("store") or {})
    if objects := status.get("objects"):
        emit("cluster " + ", ".join(f"{count} {safe(kind)}" for kind, count in objects.items() if count))
    _print_agents(status.get("agents") or [])
    _print_gaps(status.get("gaps"))


def _uptime(status: Record) -> str:
    seconds = int(status.get("uptime") or 0)
    days, rest = divmod(seconds, 86400)
    return f"{days}d " * bool(days) + f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"


def _print_store(store: Record) -> None:
    rows = store.get("rows") or {}
    counts = ", ".join(f"{count} {safe(table)}" for table, count in rows.items())
    emit(f"store {readable(int(store.get('bytes') or 0))} in {store.get('parts', '?')} parts: {counts}")


def _print_agents(agents: list[Record]) -> None:
    emit("")
    if not agents:
        emit(styled("No agent has reported yet.", "yellow") + " Start one with `keelwatch agent`.")
        return
    rows: list[list[Any]] = [
        [one.get("node", ""), age(str(one.get("last_seen") or "")), _clock(one), one.get("spool", "")]
        for one in agents
    ]
    print_table(("NODE", "LAST SEEN", "CLOCK", "SPOOL"), rows)


def _clock(agent: Record) -> str:
    """How the node's clock differs from the hub's; "ok" below what a request's way can explain."""
    skew = agent.get("clock_skew")
    if skew is None:
        return ""
    return "ok" if abs(skew) < CLOCK_SECONDS else f"{abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"


def _gap_cells(gap: Record) -> list[Any]:
    if gap.get("unit") in ("intervals", "seconds"):
        lost = duration(int(gap.get("seconds") or gap.get("amount") or 0))
    else:
        lost = amount_of(gap)
    cause = str(gap.get("cause", ""))
    return [gap.get("what", ""), lost, gap.get("gaps", ""), CAUSES.get(cause, cause)]


def _print_gaps(gaps: Any) -> None:
    emit("")
    if isinstance(gaps, int | float):
        emit(f"{gaps} gaps in the last 24 hours" + (": `keelwatch gaps --since 24h`." if gaps else "."))
    elif gaps:
        emit(styled("Gaps of the last 24 hours", "bold") + " (`keelwatch gaps --since 24h` has each of them)")
        print_table(("WHAT", "LOST", "TIMES", "WHY"), [_gap_cells(gap) for gap in gaps])
    else:
        emit("No gaps in the last 24 hours.")
