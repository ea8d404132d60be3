"""What can be set on a hub, shared by `keelwatch hub` and `keelwatch up`."""

from __future__ import annotations

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.options import Command
from keelwatch.cli.sizes import Size
from keelwatch.hub import settings as defaults

_OPTIONS = (
    click.option("--listen", metavar="ADDRESS:PORT", default=defaults.DEFAULT_LISTEN, show_default=True,
                 help="Where to listen; off loopback only with TLS."),
    click.option("--tls-cert", type=PATH, metavar="FILE", help="Certificate chain, PEM."),
    click.option("--tls-key", type=PATH, metavar="FILE", help="The certificate's key, PEM."),
    click.option("--memory", type=Size(), default="1500M", show_default=True,
                 help="Memory the embedded store may use."),
    click.option("--disk-reserve", type=Size(), default="256M", show_default=True,
                 help="Free disk space below which nothing is accepted."),
)  # fmt: skip


def with_hub_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
