"""`keelwatch doctor`: what is missing here, and how to mend it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import click

from keelwatch.cli import checks
from keelwatch.cli.client import HubClient
from keelwatch.cli.errors import NOT_FOUND, OK
from keelwatch.cli.options import HelpfulCommand, output_option, with_client
from keelwatch.cli.output import emit, print_json, print_yaml, safe, styled

_EXAMPLES = """
keelwatch doctor
keelwatch doctor --hub https://keelwatch.example:8470 --ca-file ca.pem
keelwatch doctor -o json | jq 'select(.state != "ok")'
"""
_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "strong-red")}


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.pass_context
@with_client
@click.option("--data", type=click.Path(path_type=Path), default="/var/lib/keelwatch", help="Data folder.")
@click.option("--no-hub", is_flag=True, help="Look at this machine only.")
@output_option("table", "json", "yaml")
def command(client: HubClient, ctx: click.Context, data: Path, output: str, *, no_hub: bool) -> None:
    """Check this machine for the agent, and the way to the hub; say how to mend each problem.

    Ends with status 1 if something does not work.
    """
    found: list[checks.Check] = []
    for check in _all(client, data, no_hub=no_hub):
        found.append(check)
        _print(check, output)
    failed = sum(check.state == "fail" for check in found)
    if output == "table":
        emit("")
        emit(f"{failed} of {len(found)} checks failed." if failed else "Everything essential is there.")
    ctx.exit(NOT_FOUND if failed else OK)


def _all(client: HubClient, data: Path, *, no_hub: bool) -> Iterable[checks.Check]:
    yield from checks.local_checks(data)
    if not no_hub:
        yield checks.hub(client)


def _print(check: checks.Check, output: str) -> None:
    if output != "table":
        (print_json if output == "json" else print_yaml)(dataclasses.asdict(check))
        return
    mark, style = _MARKS[check.state]
    emit(f"{styled(mark, style)}  {check.name:<12} {safe(check.found)}")
    if check.mend:
        emit(f"      {'':<12} {styled('→ ' + safe(check.mend), 'bold')}")
