"""Everything an operator can set on the hub. The command line in cli/commands/hub.py fills it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from keelwatch.kit.net import is_loopback

DEFAULT_DATA = Path("/var/lib/keelwatch/hub")
DEFAULT_LISTEN = "127.0.0.1:8470"
_NAMESPACED = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class SettingsError(ValueError):
    """A setting that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Sizes are bytes, times seconds.

    A token file that is missing is made (0600) with a new token. Without `admin_token_file` an
    admin token is made at the first start and printed once. With `agent_service_account` and
    without `agent_token_file` agents have no token of their own: the API server vouches for them.
    """

    data: Path = DEFAULT_DATA
    listen: str = DEFAULT_LISTEN
    tls_cert: Path | None = None
    tls_key: Path | None = None
    agent_token_file: Path | None = None  # default: DATA/agent.token
    admin_token_file: Path | None = None
    viewer_token_file: Path | None = None
    analyst_token_file: Path | None = None
    audit_token_file: Path | None = None  # of the API server's audit webhook
    tls_auto: bool = False  # a CA of our own in DATA/tls, and a certificate from it
    tls_names: tuple[str, ...] = ()
    publish_ca_configmap: str = ""  # NAMESPACE/NAME
    kubeconfig: Path | None = None
    in_cluster: bool = False
    cluster: str = "local"
    agent_service_account: str = ""  # NAMESPACE/NAME
    team_label: str = "team"
    team_annotation: str = ""
    team_map: Path | None = None  # YAML, namespace: team
    audit_logs: tuple[Path, ...] = ()  # files of API servers
    rules: tuple[Path, ...] = ()  # for audit events, besides the shipped ones
    default_rules: bool = True
    rules_fallback: bool = False  # start with the shipped rules if there is a mistake in `rules`
    user: str = ""  # whom to become when started as root
    memory: int = 1_500_000_000  # of the embedded store
    disk_reserve: int = 256 << 20  # free bytes below which nothing is accepted
    clickhouse: str = ""  # URL of a ClickHouse server instead of the embedded store
    scope_selector: str = ""  # labels of the namespaces in scope
    sandboxed_runtimes: tuple[str, ...] = ()  # runtime classes that hide their processes from the node
    clickhouse_cluster: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, colon, port = self.listen.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise SettingsError(f"--listen {self.listen!r}: write HOST:PORT, for example {DEFAULT_LISTEN}")
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  # an empty host means all, as in Go

    @property
    def agent_token(self) -> Path:
        """Where the agents' token is."""
        return self.agent_token_file or self.data / "agent.token"

    @property
    def tls(self) -> bool:
        """Whether the hub speaks TLS."""
        return self.tls_cert is not None or self.tls_auto

    @property
    def has_cluster(self) -> bool:
        """Whether there is an API server to ask."""
        return self.in_cluster or self.kubeconfig is not None

    def check(self) -> None:
        """Raise SettingsError for what cannot work or must not be."""
        self._check_tls()
        self._check_cluster()

    def _check_tls(self) -> None:
        host, _ = self.address
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key belong together")
        if self.tls_auto and self.tls_cert:
            raise SettingsError("--tls-auto makes a certificate; leave it out, or --tls-cert and --tls-key")
        if self.tls_names and not self.tls_auto:
            raise SettingsError("--tls-name is for the certificate that --tls-auto makes")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise SettingsError(f"{path} is not a file")
        if not self.tls and not is_loopback(host):
            raise SettingsError(
                f"--listen {self.listen}: off the loopback address logs and tokens would cross the network "
                "unencrypted; give --tls-auto, or --tls-cert and --tls-key, or listen on 127.0.0.1"
            )

    def _check_cluster(self) -> None:
        if self.in_cluster and self.kubeconfig:
            raise SettingsError("--kubeconfig and --in-cluster name two API servers; leave one out")
        if self.kubeconfig is not None and not self.kubeconfig.is_file():
            raise SettingsError(f"--kubeconfig {self.kubeconfig} is not a file")
        for option, value in (
            ("--agent-service-account", self.agent_service_account),
            ("--publish-ca-configmap", self.publish_ca_configmap),
        ):
            if value and not _NAMESPACED.fullmatch(value):
                raise SettingsError(f"{option} {value!r}: write NAMESPACE/NAME")
            if value and not self.has_cluster:
                raise SettingsError(f"{option} needs an API server: --in-cluster or --kubeconfig")
        if self.publish_ca_configmap and not self.tls_auto:
            raise SettingsError("--publish-ca-configmap is for the CA that --tls-auto makes")
