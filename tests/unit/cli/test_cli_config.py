"""Which hub and token a command uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from keelwatch.cli.config import Connection, config_path, resolve, write_config
from keelwatch.cli.errors import USAGE, CliError


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEELWATCH_HUB", "KEELWATCH_TOKEN", "KEELWATCH_TOKEN_FILE", "KEELWATCH_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEELWATCH_CONFIG", str(tmp_path / "config.yaml"))


def test_defaults_without_a_file() -> None:
    assert resolve(None, None, None, None) == Connection("http://127.0.0.1:8470", "", "")


def test_options_win_over_environment_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(config_path(), {"hub": "https://file.example", "token": "file"})
    assert resolve(None, None, None, None).hub == "https://file.example"
    monkeypatch.setenv("KEELWATCH_HUB", "https://environment.example")
    monkeypatch.setenv("KEELWATCH_TOKEN", "environment")
    assert resolve(None, None, None, None) == Connection("https://environment.example", "environment", "")
    assert resolve("https://option.example/", "option", None, "ca.pem") == Connection(
        "https://option.example", "option", "ca.pem"
    )


def test_a_token_file_on_the_command_line_wins_over_a_token_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from file\n")
    monkeypatch.setenv("KEELWATCH_TOKEN", "environment")
    assert resolve(None, None, str(tmp_path / "token"), None).token == "from file"


def test_the_config_file_is_private() -> None:
    write_config(config_path(), {"hub": "http://127.0.0.1:1"})
    assert config_path().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["hub: [1]\ncolour: red\n", "- a\n", "hub: {\n"])
def test_a_wrong_config_file_is_a_usage_error_that_names_the_file(text: str) -> None:
    config_path().write_text(text)
    with pytest.raises(CliError) as caught:
        resolve(None, None, None, None)
    assert caught.value.exit_code == USAGE
    assert str(config_path()) in caught.value.message


def test_all_mistakes_of_the_config_file_are_reported_at_once() -> None:
    config_path().write_text("hub: [1]\ncolour: red\n")
    with pytest.raises(CliError, match=r"colour.*hub: expected text"):
        resolve(None, None, None, None)


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://", "http://[::1"])
def test_a_wrong_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(CliError) as caught:
        resolve(url, None, None, None)
    assert caught.value.exit_code == USAGE


def test_a_token_is_never_sent_in_the_clear() -> None:
    with pytest.raises(CliError, match="in the clear"):
        resolve("http://hub.example", "secret", None, None)
    for url in ("http://127.0.0.1:8470", "http://localhost:1", "http://[::1]:8470", "https://hub.example"):
        assert resolve(url, "secret", None, None).token == "secret"


def test_a_name_that_begins_like_the_loopback_address_is_another_machine() -> None:
    with pytest.raises(CliError, match="in the clear"):
        resolve("http://127.0.0.1.example:8470", "secret", None, None)
