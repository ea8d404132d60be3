"""What can be set on a hub about audit events of the API server, and the rules for them."""

from __future__ import annotations

from pathlib import Path

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.options import Command

_OPTIONS = (
    click.option("--audit-log", "audit_logs", type=PATH, metavar="PATH", multiple=True,
                 help="Read this audit log of an API server, across rotations (repeatable)."),
    click.option("--rules", type=click.Path(path_type=Path, exists=True), metavar="PATH", multiple=True,
                 help="Rules of your own for audit events, a file or folder; read again when they change "
                      "(repeatable)."),
    click.option("--no-default-rules", "default_rules", is_flag=True, flag_value=False, default=True,
                 help="Leave the shipped rules out."),
    click.option("--rules-fallback", is_flag=True,
                 help="Start with the shipped rules alone when yours have a mistake."),
)  # fmt: skip


def with_audit_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
