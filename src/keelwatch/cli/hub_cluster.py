"""Options of `keelwatch hub` that concern the cluster it watches, its own CA, and who may log in."""

from __future__ import annotations

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.options import Command

_OPTIONS = (
    click.option("--kubeconfig", type=PATH, metavar="FILE", help="How to reach the API server."),
    click.option("--in-cluster", is_flag=True, help="The API server of the cluster this pod runs in."),
    click.option("--cluster", metavar="NAME", default="local", show_default=True,
                 help="The cluster's name in records."),
    click.option("--agent-service-account", metavar="NAMESPACE/NAME", default="",
                 help="Agents show tokens of this ServiceAccount with the audience keelwatch; "
                      "without --agent-token-file nothing else is taken from them."),
    click.option("--tls-auto", is_flag=True,
                 help="Make a CA once and keep it in DATA/tls, and a server certificate from it."),
    click.option("--tls-name", "tls_names", metavar="NAME", multiple=True,
                 help="A host name or address that agents and readers call the hub by; repeatable."),
    click.option("--publish-ca-configmap", metavar="NAMESPACE/NAME", default="",
                 help="Keep the CA in this ConfigMap, key ca.crt."),
    click.option("--analyst-token-file", type=PATH, metavar="FILE", help="Log-in token of role analyst."),
    click.option("--audit-token-file", type=PATH, metavar="FILE",
                 help="Token of the API server's audit webhook."),
)  # fmt: skip


def with_cluster_options(function: Command) -> Command:
    """Add them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
