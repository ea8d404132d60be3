"""`keelwatch hub`: run the hub until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType
from typing import Any

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.errors import USAGE, CliError
from keelwatch.cli.hub_audit import with_audit_options
from keelwatch.cli.hub_cluster import with_cluster_options
from keelwatch.cli.hub_coverage import with_coverage_options
from keelwatch.cli.hub_options import with_hub_options
from keelwatch.cli.hub_teams import with_team_options
from keelwatch.cli.options import HelpfulCommand
from keelwatch.detect import RuleErrors
from keelwatch.hub import settings as defaults
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.store.database import SchemaError

_EXAMPLES = """
keelwatch hub
keelwatch hub --listen 0.0.0.0:8470 --tls-cert hub.pem --tls-key hub.key
keelwatch hub --data /srv/keelwatch --agent-token-file /etc/keelwatch/agent.token
keelwatch hub --listen 0.0.0.0:8470 --tls-auto --tls-name hub.example
keelwatch hub --in-cluster --cluster prod --agent-service-account keelwatch/keelwatch-agent
keelwatch hub --audit-log /var/log/kubernetes/audit.log --rules /etc/keelwatch/rules
keelwatch hub --clickhouse http://clickhouse.example:8123
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--data", type=PATH, metavar="DIR", default=defaults.DEFAULT_DATA, show_default=True,
              help="The store and the tokens.")  # fmt: skip
@with_hub_options
@with_team_options
@click.option(
    "--agent-token-file", type=PATH, metavar="FILE", help="Agents' token. [default: DATA/agent.token]"
)
@click.option("--admin-token-file", type=PATH, metavar="FILE",
              help="Log-in token of role admin; without it one is made and printed once.")  # fmt: skip
@click.option("--viewer-token-file", type=PATH, metavar="FILE", help="Log-in token of role viewer.")
@with_cluster_options
@with_audit_options
@with_coverage_options
@click.option("--user", metavar="NAME", default="", help="Whom to become when started as root.")
@click.option(
    "--clickhouse", metavar="URL", default="", help="Use this server instead of the embedded store."
)
@click.option("--clickhouse-cluster", metavar="NAME", default="", help="Cluster for replicated tables.")
def command(**options: Any) -> None:
    """Run the hub: ingest, store, query, console, HTTP API. It needs no root.

    Token files that are missing are made, readable by their owner only.
    It ends on SIGTERM or Ctrl-C, when what it has received is stored.
    """
    settings = HubSettings(**options)
    try:
        settings.check()
    except SettingsError as error:
        raise CliError(str(error), USAGE) from error
    from keelwatch.hub.main import run_hub

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, _leave)
    try:
        run_hub(settings)
    except (SettingsError, SchemaError, RuleErrors) as error:
        raise CliError(str(error), USAGE) from error
    except OSError as error:
        raise CliError(f"cannot start: {error}", USAGE) from error


def _leave(number: int, frame: FrameType | None) -> None:
    """End with all that has to be stored.

    Uvicorn raises the signal again when it has stopped serving; by default that would kill the
    process before the writers have ended.
    """
    del number, frame
    sys.exit(0)
