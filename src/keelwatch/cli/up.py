"""`keelwatch up`: hub and agent on one machine, as two processes that are looked after."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from keelwatch.cli.agent_options import PATH, arguments_of, with_agent_options
from keelwatch.cli.client import HubClient
from keelwatch.cli.config import Connection, config_path, read_config, write_config
from keelwatch.cli.errors import UNREACHABLE, USAGE, CliError
from keelwatch.cli.hub_options import with_hub_options
from keelwatch.cli.options import HelpfulCommand
from keelwatch.cli.output import emit, styled
from keelwatch.cli.supervisor import Child, Supervisor
from keelwatch.hub.settings import HubSettings, SettingsError

READY_SECONDS = 90.0
_HUB_OPTIONS = ("listen", "tls_cert", "tls_key", "memory", "disk_reserve")
_EXAMPLES = """
keelwatch up
keelwatch up --rules ./my-rules --data /srv/keelwatch
keelwatch up --listen 127.0.0.1:9000 --no-sensor
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--data", type=PATH, metavar="DIR", default="/var/lib/keelwatch", show_default=True,
              help="Store, spool and tokens.")  # fmt: skip
@click.option("--ca-file", type=PATH, metavar="FILE", help="Trust this authority for the hub's certificate.")
@click.option("--no-config", is_flag=True, help="Do not write ~/.config/keelwatch/config.yaml.")
@with_hub_options
@with_agent_options
def command(data: Path, ca_file: Path | None, *, no_config: bool, **options: Any) -> None:
    """Run hub and agent on this machine, and watch whatever containers are there.

    Prints the console's address and the log-in token. Both processes are restarted when they
    crash, and end with Ctrl-C or SIGTERM.
    """
    hub_options = {name: options.pop(name) for name in _HUB_OPTIONS}
    address = _address(HubSettings(data=data / "hub", **hub_options))
    login = data / "login.token"
    supervisor = Supervisor()
    supervisor.catch_signals()
    try:
        _start_hub(supervisor, data, login, address, ca_file, hub_options)
        agent_token = ["--token-file", str(data / "agent.token")]
        where = ["--hub", address, "--data", str(data / "agent"), *_ca(ca_file)]
        supervisor.add(Child("agent", _program("agent", *where, *agent_token, *arguments_of(options))))
        _announce(address, login, ca_file, write=not no_config)
        supervisor.run()
    finally:
        supervisor.stop()


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


def _ca(ca_file: Path | None) -> list[str]:
    return ["--ca-file", str(ca_file)] if ca_file else []


def _start_hub(
    supervisor: Supervisor,
    data: Path,
    login: Path,
    address: str,
    ca_file: Path | None,
    options: dict[str, Any],
) -> None:
    tokens = ["--admin-token-file", str(login), "--agent-token-file", str(data / "agent.token")]
    program = _program("hub", "--data", str(data / "hub"), *tokens, *arguments_of(options))
    hub = supervisor.add(Child("hub", program, patience=60.0))
    client = HubClient(Connection(address, ca_file=str(ca_file or "")))
    ready = supervisor.wait_until(client.ready, hub, READY_SECONDS)
    if supervisor.stopping.is_set():
        raise click.exceptions.Exit(0)
    if not ready:
        raise CliError("the hub did not start; its messages above say why", UNREACHABLE)


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
