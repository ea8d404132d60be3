"""`keelwatch up`: hub and agent on one machine, as two processes that are looked after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from keelwatch.cli.agent_options import PATH, arguments_of, with_agent_options
from keelwatch.cli.client import HubClient
from keelwatch.cli.config import Connection, config_path, read_config, write_config
from keelwatch.cli.errors import UNREACHABLE, USAGE, CliError
from keelwatch.cli.hub_options import with_hub_options
from keelwatch.cli.only_one import check_free, only_one
from keelwatch.cli.options import HelpfulCommand
from keelwatch.cli.output import emit, styled
from keelwatch.cli.supervisor import Child, Supervisor
from keelwatch.detect import RuleErrors, default_rules_dir, load_rules
from keelwatch.hub.settings import HubSettings, SettingsError

READY_SECONDS = 90.0
_HUB_OPTIONS = ("listen", "tls_cert", "tls_key", "memory", "disk_reserve", "kubeconfig", "audit_logs")
_BOTH = ("rules", "no_default_rules", "rules_fallback", "cluster")
"""What the agent's options mean for the hub, too: rules for audit events, the cluster's name."""
_EXAMPLES = """
keelwatch up
keelwatch up --rules ./my-rules --data /srv/keelwatch
keelwatch up --listen 127.0.0.1:9000 --no-sensor
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--data", type=PATH, metavar="DIR", default="/var/lib/keelwatch", show_default=True,
              help="Store, spool and tokens.")  # fmt: skip
@click.option("--ca-file", type=PATH, metavar="FILE", help="Trust this authority for the hub's certificate.")
@click.option("--kubeconfig", type=PATH, metavar="FILE",
              help="Ask this cluster's API server for owners, labels and teams.")  # fmt: skip
@click.option("--audit-log", "audit_logs", type=PATH, metavar="PATH", multiple=True,
              help="Read this audit log of the API server (repeatable).")  # fmt: skip
@click.option("--no-config", is_flag=True, help="Do not write ~/.config/keelwatch/config.yaml.")
@with_hub_options
@with_agent_options
def command(data: Path, ca_file: Path | None, *, no_config: bool, **options: Any) -> None:
    """Run hub and agent on this machine, and watch whatever containers are there.

    Prints the console's address and the log-in token. Both processes are restarted when they
    crash, and end with Ctrl-C or SIGTERM.
    """
    hub_options = {name: options.pop(name) for name in _HUB_OPTIONS}
    settings = HubSettings(data=data / "hub", **hub_options)
    address = _address(settings)
    _check_rules(options)
    hub_options |= {name: options[name] for name in _BOTH}
    with only_one(data):
        check_free(settings.listen, *settings.address)
        supervisor = Supervisor()
        supervisor.catch_signals()
        login = data / "login.token"
        hub = _Hub(address, login, str(ca_file or ""))
        try:
            _start_hub(supervisor, data, hub, hub_options)
            _start_agent(supervisor, data, hub, options)
            _announce(address, login, ca_file, write=not no_config)
            supervisor.run()
        finally:
            supervisor.stop()


@dataclass(frozen=True, slots=True)
class _Hub:
    """The hub that `up` starts, as a client of it sees it."""

    address: str
    login: Path
    ca_file: str

    def get(self, path: str) -> Any:
        """Its answer; None while there is none. Another hub would not know the token."""
        try:
            token = self.login.read_text("utf-8").strip()
            with HubClient(Connection(self.address, token, self.ca_file)) as client:
                return client.get(path)
        except (CliError, OSError):
            return None

    def ready(self) -> bool:
        """Whether it is up and is ours."""
        return self.get("/api/v1/status") is not None

    def heard_of_an_agent(self) -> bool:
        """Whether an agent has sent anything since the hub's start."""
        status = self.get("/api/v1/status") or {}
        return any(agent.get("last_seen") for agent in status.get("agents") or [])


def _check_rules(options: dict[str, Any]) -> None:
    """A mistake in a rule is said before anything is started, unless both shall start without it."""
    if options["rules_fallback"]:
        return
    shipped = () if options["no_default_rules"] else (default_rules_dir(),)
    try:
        load_rules([*shipped, *options["rules"]])
    except RuleErrors as errors:
        raise CliError(f"the rules have mistakes:\n{errors}", USAGE) from errors


def _address(settings: HubSettings) -> str:
    """Where the hub of these settings is reached from this machine."""
    try:
        settings.check()
    except SettingsError as error:
        raise CliError(str(error), USAGE) from error
    host, port = settings.address
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # not bound, only recognised
    name = f"[{here}]" if ":" in here else here
    return f"{'https' if settings.tls else 'http'}://{name}:{port}"


def _program(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "keelwatch.cli.main", name, *arguments]


def _start_hub(supervisor: Supervisor, data: Path, hub: _Hub, options: dict[str, Any]) -> None:
    tokens = ["--admin-token-file", str(hub.login), "--agent-token-file", str(data / "agent.token")]
    program = _program("hub", "--data", str(data / "hub"), *tokens, *arguments_of(options))
    child = supervisor.add(Child("hub", program, patience=60.0))
    _wait(supervisor, hub.ready, child)


def _start_agent(supervisor: Supervisor, data: Path, hub: _Hub, options: dict[str, Any]) -> None:
    """Start it and wait until the hub has heard of it, so that what the banner promises is there."""
    where = ["--hub", hub.address, "--data", str(data / "agent"), "--token-file", str(data / "agent.token")]
    where += ["--ca-file", hub.ca_file] if hub.ca_file else []
    child = supervisor.add(Child("agent", _program("agent", *where, *arguments_of(options))))
    _wait(supervisor, hub.heard_of_an_agent, child)


def _wait(supervisor: Supervisor, ready: Callable[[], bool], child: Child) -> None:
    done = supervisor.wait_until(ready, child, READY_SECONDS)
    if supervisor.stopping.is_set():
        raise click.exceptions.Exit(0)
    if not done:
        raise CliError(f"the {child.name} did not start; its messages above say why", UNREACHABLE)


def _announce(address: str, login: Path, ca_file: Path | None, *, write: bool) -> None:
    emit("")
    emit(f"  Console   {styled(address, 'bold')}")
    emit(f"  Log in    {login.read_text('utf-8').strip()}")
    if write:
        emit(f"  Commands  {_configured(address, login, ca_file)}")
    emit("  Stop      Ctrl-C")
    emit("")
    sys.stdout.flush()


def _configured(address: str, login: Path, ca_file: Path | None) -> str:
    """Make `keelwatch logs` and its like work here; leave another hub's configuration alone."""
    path = config_path()
    wanted = {"hub": address, "token_file": str(login.absolute())}
    if ca_file:
        wanted["ca_file"] = str(ca_file.absolute())
    known = read_config(path)
    if known and known.get("token_file") != wanted["token_file"] and known.get("hub") != address:
        return f"{path} names another hub; give --hub {address} --token-file {login}"
    write_config(path, wanted)
    return f"keelwatch alerts, logs, timeline … ({path} was written)"
