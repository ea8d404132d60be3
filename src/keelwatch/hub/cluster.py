"""What the hub does at the API server of its cluster, made from the settings."""

from __future__ import annotations

from keelwatch.hub.publish import Publisher
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.hub.tls import AutoTls
from keelwatch.inventory.client import Api, ConnectError, connect


def connect_cluster(settings: HubSettings) -> Api | None:
    """The API server that the settings name, if they name one; raise SettingsError."""
    if not settings.has_cluster:
        return None
    try:
        return connect(settings.kubeconfig, settings.in_cluster)
    except ConnectError as error:
        raise SettingsError(str(error)) from error


def publisher(settings: HubSettings, api: Api | None, tls: AutoTls | None) -> Publisher | None:
    """What publishes the CA, if it is to be published."""
    if api is None or tls is None or not settings.publish_ca_configmap:
        return None
    return Publisher(api, settings.publish_ca_configmap, tls.authority.pem)
