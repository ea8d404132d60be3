"""Which hub, with which token: options, then the environment, then the config file, then defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from keelwatch.cli.errors import USAGE, CliError
from keelwatch.kit.net import is_loopback

DEFAULT_HUB = "http://127.0.0.1:8470"
_KEYS = frozenset({"hub", "token", "token_file", "ca_file"})
_MAX_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the hub is and how to prove who asks. Empty text stands for "not given"."""

    hub: str = DEFAULT_HUB
    token: str = ""
    ca_file: str = ""


def config_path() -> Path:
    """The config file: `$KEELWATCH_CONFIG`, or `keelwatch/config.yaml` under `$XDG_CONFIG_HOME`."""
    if named := os.environ.get("KEELWATCH_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "keelwatch" / "config.yaml"


def read_config(path: Path) -> dict[str, str]:
    """The config file's settings; {} where there is none. Every mistake in it is reported at once."""
    try:
        text = path.read_bytes()[: _MAX_FILE + 1].decode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", USAGE) from error
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CliError(f"{path}: not YAML: {error}", USAGE) from error
    return _checked(path, {} if found is None else found)


def _checked(path: Path, found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise CliError(f"{path}: expected settings as `name: value`", USAGE)
    wrong = [f"unknown setting {key!r}" for key in found if key not in _KEYS]
    wrong += [f"{key}: expected text" for key in found if key in _KEYS and not isinstance(found[key], str)]
    if wrong:
        raise CliError(f"{path}: " + "; ".join(wrong), USAGE, f"Known settings: {', '.join(sorted(_KEYS))}")
    return found


def write_config(path: Path, settings: dict[str, str]) -> None:
    """Write the config file, readable by its owner only, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(settings, file)
    fresh.replace(path)


def resolve(hub: str | None, token: str | None, token_file: str | None, ca_file: str | None) -> Connection:
    """Return the connection that options, environment and config file describe together.

    A token given nearer to the command wins over one given further away, however it is given.
    """
    stored = read_config(config_path())
    environment = os.environ
    url = hub or environment.get("KEELWATCH_HUB") or stored.get("hub") or DEFAULT_HUB
    secret = (
        _token(token, token_file)
        or _token(environment.get("KEELWATCH_TOKEN"), environment.get("KEELWATCH_TOKEN_FILE"))
        or _token(stored.get("token"), stored.get("token_file"))
    )
    authority = ca_file or environment.get("KEELWATCH_CA_FILE") or stored.get("ca_file") or ""
    return Connection(_checked_url(url, has_token=bool(secret)), secret, authority)


def _token(token: str | None, token_file: str | None) -> str:
    if token:
        return token.strip()
    if not token_file:
        return ""
    try:
        return Path(token_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"cannot read the token file {token_file}: {error}", USAGE) from error


def _checked_url(url: str, *, has_token: bool) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise CliError(f"hub address {url!r}: {error}", USAGE) from error
    if parts.scheme not in ("http", "https") or not host:
        raise CliError(f"hub address {url!r} is not an http(s) URL", USAGE, f"Example: {DEFAULT_HUB}")
    if parts.scheme == "http" and has_token and not is_loopback(host):
        raise CliError(f"will not send the token to {host} in the clear", USAGE, "Use an https:// address.")
    return url.rstrip("/")
