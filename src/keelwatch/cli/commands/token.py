"""`keelwatch token`: the log-in token of the hub whose data folder is here."""

from __future__ import annotations

from pathlib import Path

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.errors import NOT_FOUND, CliError
from keelwatch.cli.options import HelpfulCommand
from keelwatch.hub import settings as defaults

ROLES = ("admin", "audit", "agent")
_EXAMPLES = """
keelwatch token
kubectl -n keelwatch exec keelwatch-hub-0 -- keelwatch token
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--data", type=PATH, metavar="DIR", default=defaults.DEFAULT_DATA, show_default=True,
              help="The hub's data folder.")  # fmt: skip
@click.option("--role", type=click.Choice(ROLES), default="admin", show_default=True, help="Whose token.")
def command(data: Path, role: str) -> None:
    """Print a token that the hub on this machine, or in this container, made at its first start."""
    path = data / f"{role}.token"
    try:
        click.echo(path.read_text().strip())
    except OSError as error:
        hint = "Was it started with a token file elsewhere, or has it not been started yet?"
        raise CliError(f"{path}: {error.strerror}", NOT_FOUND, hint) from error
