"""`keelwatch agent`: run the node's agent until it is told to stop."""

from __future__ import annotations

from typing import Any

import click

from keelwatch.agent import settings as defaults
from keelwatch.agent.settings import AgentSettings
from keelwatch.cli.agent_options import FILE, PATH, with_agent_options
from keelwatch.cli.options import HelpfulCommand

_EXAMPLES = """
keelwatch agent --token-file /etc/keelwatch/agent.token
keelwatch agent --hub https://keelwatch.example:8470 --ca-file ca.pem --token-file agent.token
keelwatch agent --rules /etc/keelwatch/rules --off mount
keelwatch agent --no-sensor                      # logs only, where eBPF is not available
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--hub", metavar="URL", default=defaults.DEFAULT_HUB, envvar="KEELWATCH_HUB", show_default=True,
              help="Where records are sent. [env: KEELWATCH_HUB]")  # fmt: skip
@click.option("--token-file", type=FILE, metavar="FILE", help="The agent's token for the hub.")
@click.option("--ca-file", type=PATH, metavar="FILE",
              help="Trust this authority for the hub's certificate; it may come later.")  # fmt: skip
@click.option("--data", type=PATH, metavar="DIR", default=defaults.DEFAULT_DATA, show_default=True,
              help="Spool and read positions; must outlive the agent.")  # fmt: skip
@with_agent_options
def command(**options: Any) -> None:
    """Run the agent: sensor, logs, detection, shipping. It needs root.

    It ends on SIGTERM or Ctrl-C, and continues where it stopped.
    """
    from keelwatch.agent.main import run_agent

    raise SystemExit(run_agent(settings_of(options)))


def settings_of(options: dict[str, Any]) -> AgentSettings:
    """The settings that the options mean."""
    switches = {"sensor": "no_sensor", "logs": "no_logs", "default_rules": "no_default_rules"}
    given = {name: value for name, value in options.items() if name not in switches.values()}
    given |= {name: not options[switch] for name, switch in switches.items()}
    return AgentSettings(**given)
