"""Options of `keelwatch hub` that say where a pod's team is written."""

from __future__ import annotations

import click

from keelwatch.cli.agent_options import FILE
from keelwatch.cli.options import Command

_OPTIONS = (
    click.option("--team-label", metavar="KEY", default="team", show_default=True,
                 help="Label of pods, workloads or namespaces that names the team; empty for none."),
    click.option("--team-annotation", metavar="KEY", default="",
                 help="Annotation of pods, workloads or namespaces that does."),
    click.option("--team-map", type=FILE, metavar="FILE",
                 help="YAML file with `namespace: team` a line."),
)  # fmt: skip


def with_team_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
