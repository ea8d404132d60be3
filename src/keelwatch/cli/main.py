"""The command `keelwatch`: finds the subcommand's file, and turns ends of all kinds into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from keelwatch import __version__
from keelwatch.cli.errors import BROKEN_PIPE, INTERRUPTED
from keelwatch.cli.options import write_examples

COMMANDS: dict[str, str] = {
    "logs": "Print the log lines of a workload's containers, the deleted ones included.",
    "alerts": "Print alerts, or one with its whole story.",
    "events": "Print what processes did: exec, open, rename, setns …",
    "audit": "Print requests to the API server: who asked what of it, from where.",
    "access": "Print who entered containers by exec, attach or debug, and what came of it.",
    "timeline": "Print logs, events, alerts and gaps of a workload as one stream.",
    "workloads": "List workloads and their instances, living and gone.",
    "compare": "Show what only some instances of a workload have: lines, programs, files.",
    "gaps": "List what was not observed, when and why.",
    "coverage": "Show for how much of its time each workload was observed, and what is missing.",
    "status": "Show the hub's store and the agents that report to it.",
    "doctor": "Check this machine and say how to mend what is missing.",
    "rules": "Check and list detection rules.",
    "up": "Run hub and agent on this machine.",
    "agent": "Run the node's agent.",
    "hub": "Run the hub.",
    "token": "Print a token that the hub here has made.",
    "manifests": "Print the manifests that install keelwatch in a cluster.",
    "canary": "Prove the way from a container to the hub, every minute.",
    "completion": "Print the completion script of a shell.",
    "version": "Print the version.",
}
"""Every subcommand, in the order of the help, with its short help; its file has the same name."""

EXAMPLES = """
keelwatch up                                     # hub and agent on this machine
keelwatch logs -n shop deploy/checkout -f        # every instance, as it happens
keelwatch alerts --since 1h --priority critical
keelwatch timeline -n shop deploy/checkout       # everything about one workload
keelwatch doctor
"""


class Program(click.Group):
    """The group of all subcommands; a subcommand's file is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the subcommand's file; `None` where there is no such subcommand."""
        del ctx
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"keelwatch.cli.commands.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        write_examples(EXAMPLES, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; Ctrl-C and a closed pipe end it quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The interpreter flushes stdout once more at its end: give it somewhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(BROKEN_PIPE)
        return result


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="keelwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Watch containers: what did a workload do, and was anything unmonitored."""


if __name__ == "__main__":
    main()
