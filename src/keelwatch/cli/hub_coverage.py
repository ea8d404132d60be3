"""Options of `keelwatch hub` that say what is in scope, and what no agent can look into."""

from __future__ import annotations

import click

from keelwatch.cli.options import Command

_OPTIONS = (
    click.option("--scope-selector", metavar="QUERY", default="",
                 help="Label selector of the namespaces in scope of coverage; all by default."),
    click.option("--sandboxed-runtime", "sandboxed_runtimes", metavar="NAME", multiple=True,
                 help="Runtime class whose processes the node cannot see, besides gVisor's and Kata's usual"
                 " names; repeatable."),
)  # fmt: skip


def with_coverage_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
