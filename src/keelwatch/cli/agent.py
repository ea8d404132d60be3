"""`keelwatch agent`: run the node's agent until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from keelwatch.agent import settings as defaults
from keelwatch.agent.settings import AgentSettings
from keelwatch.cli.options import HelpfulCommand
from keelwatch.cli.sizes import Size
from keelwatch.model.observation import KINDS

_EXAMPLES = """
keelwatch agent --token-file /etc/keelwatch/agent.token
keelwatch agent --hub https://keelwatch.example:8470 --ca-file ca.pem --token-file agent.token
keelwatch agent --rules /etc/keelwatch/rules --off mount
keelwatch agent --no-sensor                      # logs only, where eBPF is not available
"""
_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--hub", metavar="URL", default=defaults.DEFAULT_HUB, envvar="KEELWATCH_HUB", show_default=True,
              help="Where records are sent. [env: KEELWATCH_HUB]")  # fmt: skip
@click.option("--token-file", type=_FILE, metavar="FILE", help="The agent's token for the hub.")
@click.option("--ca-file", type=_FILE, metavar="FILE", help="Trust this authority for the hub's certificate.")
@click.option("--data", type=_PATH, metavar="DIR", default=defaults.DEFAULT_DATA, show_default=True,
              help="Spool and read positions; must outlive the agent.")  # fmt: skip
@click.option("--rules", type=click.Path(path_type=Path, exists=True), metavar="PATH", multiple=True,
              help="Rules of your own besides the shipped ones, a file or folder (repeatable).")  # fmt: skip
@click.option("--no-default-rules", is_flag=True, help="Leave the shipped rules out.")
@click.option("--node", metavar="NAME", default=lambda: os.uname().nodename, show_default="host name",
              help="This node's name in records.")  # fmt: skip
@click.option("--cluster", metavar="NAME", default="local", show_default=True, help="This cluster's name.")
@click.option("--no-sensor", is_flag=True, help="Do not load the eBPF sensor.")
@click.option("--no-logs", is_flag=True, help="Do not read container logs.")
@click.option("--host", is_flag=True, help="Watch host processes, too.")
@click.option("--off", type=click.Choice(KINDS), metavar="KIND", multiple=True,
              help="Switch an event class off in the kernel (repeatable).")  # fmt: skip
@click.option("--attach", type=click.Choice(["auto", "sys_exit", "fexit"]), default="auto", show_default=True,
              help="How the sensor hangs on system calls.")  # fmt: skip
@click.option("--env", "environment", metavar="NAME", multiple=True, default=defaults.DEFAULT_ENVIRONMENT,
              show_default=True, help="Environment variable to record at exec (repeatable).")  # fmt: skip
@click.option("--log-root", "log_roots", type=_PATH, metavar="DIR", multiple=True, default=("/var/log/pods",),
              show_default=True, help="Folder with the kubelet's log files (repeatable).")  # fmt: skip
@click.option("--spool-limit", type=Size(), default="1G", show_default=True, help="Most the spool may hold.")
@click.option("--hash-limit", type=Size(), default="128M", show_default=True, help="Largest file to hash.")
@click.option("--metrics-listen", metavar="ADDRESS:PORT", default=defaults.DEFAULT_METRICS, show_default=True,
              help="Where Prometheus finds /metrics; empty for nowhere.")  # fmt: skip
def command(*, no_sensor: bool, no_logs: bool, no_default_rules: bool, **options: Any) -> None:
    """Run the agent: sensor, logs, detection, shipping. It needs root.

    It ends on SIGTERM or Ctrl-C, and continues where it stopped.
    """
    from keelwatch.agent.main import run_agent

    code = run_agent(settings_of(options, no_sensor=no_sensor, no_logs=no_logs, no_default=no_default_rules))
    raise SystemExit(code or 0)


def settings_of(
    options: dict[str, Any], *, no_sensor: bool, no_logs: bool, no_default: bool
) -> AgentSettings:
    """The settings that the options mean."""
    return AgentSettings(sensor=not no_sensor, logs=not no_logs, default_rules=not no_default, **options)
