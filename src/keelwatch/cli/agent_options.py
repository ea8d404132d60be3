"""What can be set on an agent, shared by `keelwatch agent` and `keelwatch up`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from keelwatch.agent import settings as defaults
from keelwatch.cli.options import Command
from keelwatch.cli.sizes import Size
from keelwatch.model.observation import KINDS

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

_OPTIONS = (
    click.option("--rules", type=click.Path(path_type=Path, exists=True), metavar="PATH", multiple=True,
                 help="Rules of your own besides the shipped ones, a file or folder (repeatable)."),
    click.option("--no-default-rules", is_flag=True, help="Leave the shipped rules out."),
    click.option("--rules-fallback", is_flag=True,
                 help="Start with the shipped rules alone when yours have a mistake."),
    click.option("--node", metavar="NAME", default=lambda: os.uname().nodename, show_default="host name",
                 help="This node's name in records."),
    click.option("--cluster", metavar="NAME", default="local", show_default=True, help="The cluster's name."),
    click.option("--no-sensor", is_flag=True, help="Do not load the eBPF sensor."),
    click.option("--no-logs", is_flag=True, help="Do not read container logs."),
    click.option("--host", is_flag=True, help="Watch host processes, too."),
    click.option("--all-writes", is_flag=True,
                 help="Store each write to a volume, rather than the first few of a program in a minute."),
    click.option("--off", type=click.Choice(KINDS), metavar="KIND", multiple=True,
                 help="Switch an event class off in the kernel (repeatable)."),
    click.option("--attach", type=click.Choice(["auto", "sys_exit", "fexit"]), default="auto",
                 show_default=True, help="How the sensor hangs on system calls."),
    click.option("--env", "environment", metavar="NAME", multiple=True, show_default=True,
                 default=defaults.DEFAULT_ENVIRONMENT, help="Environment variable to record (repeatable)."),
    click.option("--log-root", "log_roots", metavar="DIR", multiple=True, show_default=True,
                 type=click.Path(path_type=Path, readable=False),  # the doctor and the log say what is not
                 default=("/var/log/pods",), help="Folder with the kubelet's log files (repeatable)."),
    click.option("--spool-limit", type=Size(), default="1G", show_default=True,
                 help="Most that the spool may hold."),
    click.option("--hash-limit", type=Size(), default="128M", show_default=True,
                 help="Largest file to hash."),
    click.option("--metrics-listen", metavar="ADDRESS:PORT", default=defaults.DEFAULT_METRICS,
                 show_default=True, help="Where Prometheus finds the agent's /metrics; empty for nowhere."),
)  # fmt: skip


def with_agent_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def arguments_of(options: dict[str, Any]) -> list[str]:
    """The command line that means these options: what `up` gives to the agent it starts."""
    flags = {"environment": "--env", "log_roots": "--log-root", "audit_logs": "--audit-log"}
    found: list[str] = []
    for name, value in options.items():
        flag = flags.get(name, "--" + name.replace("_", "-"))
        if value is True:
            found.append(flag)
        elif isinstance(value, tuple):
            found += [part for one in value for part in (flag, str(one))]
        elif value is not False and value is not None:
            found += [flag, str(value)]
    return found
