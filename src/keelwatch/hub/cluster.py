"""What the hub does at the API server of its cluster besides watching it, made from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from keelwatch.hub.permissions import Permissions
from keelwatch.hub.publish import Publisher
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.hub.tls import AutoTls
from keelwatch.ingest.impostors import Impostors
from keelwatch.ingest.recorder import Recorder
from keelwatch.ingest.token_review import Reviewer
from keelwatch.inventory import permissions
from keelwatch.inventory.client import Api, ConnectError, connect


class _Service(Protocol):
    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


def connect_cluster(settings: HubSettings) -> Api | None:
    """The API server that the settings name, if they name one; raise SettingsError."""
    if not settings.has_cluster:
        return None
    try:
        return connect(settings.kubeconfig, settings.in_cluster)
    except ConnectError as error:
        raise SettingsError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Trust:
    """How the hub and its agents come to trust each other. Parts are None where nothing needs them."""

    reviewer: Reviewer | None = None
    impostors: Impostors | None = None
    publisher: Publisher | None = None
    permissions: Permissions | None = None

    def services(self) -> list[_Service]:
        """Those that have threads."""
        parts = (self.impostors, self.publisher, self.permissions)
        return [part for part in parts if part is not None]

    def problems(self) -> list[str]:
        """What is wrong now, as sentences for people."""
        found = list(self.permissions.problems) if self.permissions else []
        if self.publisher and self.publisher.problem:
            found.append(self.publisher.problem)
        if self.reviewer and self.reviewer.problem:
            found.append(f"agents' tokens cannot be checked: {self.reviewer.problem}")
        return found


def make_trust(settings: HubSettings, api: Api | None, tls: AutoTls | None, recorder: Recorder) -> Trust:
    """All parts that the settings ask for."""
    if api is None:
        return Trust()
    account, configmap = settings.agent_service_account, settings.publish_ca_configmap
    wanted = [*permissions.of_the_inventory(), *permissions.of_the_audit()]
    if account:
        wanted += permissions.of_the_agents()
    if configmap:
        wanted += permissions.of_the_authority(configmap)
    return Trust(
        Reviewer(api, account) if account else None,
        Impostors(recorder, settings.cluster) if account else None,
        Publisher(api, configmap, tls.authority.pem) if configmap and tls else None,
        Permissions(api, wanted),
    )
