"""Everything an operator can set on the agent. The command line in cli/agent.py fills it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_DATA = Path("/var/lib/keelwatch/agent")
DEFAULT_HUB = "http://127.0.0.1:8470"
DEFAULT_METRICS = "127.0.0.1:8471"
DEFAULT_ENVIRONMENT = ("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "BASH_ENV", "ENV")


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
    sensor: bool = True
    logs: bool = True
    host: bool = False
    off: tuple[str, ...] = ()  # event kinds that the sensor must not produce
    attach: str = "auto"  # auto | sys_exit | fexit
    environment: tuple[str, ...] = DEFAULT_ENVIRONMENT
    log_roots: tuple[Path, ...] = (Path("/var/log/pods"),)
    spool_limit: int = 1 << 30
    hash_limit: int = 128 << 20
    metrics_listen: str = DEFAULT_METRICS
