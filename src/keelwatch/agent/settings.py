"""Everything an operator can set on the agent. The command line in cli/commands/agent.py fills it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keelwatch.kit.net import is_loopback

DEFAULT_DATA = Path("/var/lib/keelwatch/agent")
DEFAULT_HUB = "http://127.0.0.1:8470"
DEFAULT_METRICS = "127.0.0.1:8471"
DEFAULT_ENVIRONMENT = ("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "BASH_ENV", "ENV")


class SettingsError(ValueError):
    """A setting that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Sizes are bytes, times seconds."""

    hub: str = DEFAULT_HUB
    token_file: Path | None = None
    ca_file: Path | None = None
    data: Path = DEFAULT_DATA
    node: str = field(default_factory=lambda: os.uname().nodename)
    cluster: str = "local"
    rules: tuple[Path, ...] = ()
    default_rules: bool = True
    rules_fallback: bool = False  # start with the shipped rules if there is a mistake in `rules`
    sensor: bool = True
    logs: bool = True
    host: bool = False
    all_writes: bool = False  # store every write to a volume, too
    off: tuple[str, ...] = ()  # event kinds that the sensor must not produce
    attach: str = "auto"  # auto | sys_exit | fexit
    environment: tuple[str, ...] = DEFAULT_ENVIRONMENT
    log_roots: tuple[Path, ...] = (Path("/var/log/pods"),)
    spool_limit: int = 1 << 30
    hash_limit: int = 128 << 20
    metrics_listen: str = DEFAULT_METRICS

    def check(self) -> None:
        """Raise SettingsError for what cannot work or must not be."""
        scheme, host = _target(self.hub)
        if scheme == "http" and not is_loopback(host):
            raise SettingsError(
                f"--hub {self.hub}: off the loopback address logs and the token would cross the network "
                "unencrypted; write https://, with --ca-file for an authority of your own"
            )
        if self.ca_file is not None and self.ca_file.exists():  # else it is waited for
            _check_authority(self.ca_file)


def _target(hub: str) -> tuple[str, str]:
    """Scheme and host of the hub's URL."""
    try:
        url = urlsplit(hub)
        host = url.hostname or ""
        _ = url.port
    except ValueError as error:
        raise SettingsError(f"--hub {hub!r}: {error}") from error
    if url.scheme not in ("http", "https") or not host:
        raise SettingsError(f"--hub {hub!r}: write a URL, for example https://hub.example:8470")
    return url.scheme, host


def _check_authority(path: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:  # ssl.SSLError is one
        reason = "no certificate in PEM format" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(f"--ca-file {path}: {reason}") from error
