"""What an operator may set on an agent, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from keelwatch.agent.settings import AgentSettings, SettingsError


@pytest.mark.parametrize(
    "hub",
    [
        "http://127.0.0.1:8470",
        "http://localhost:8470",
        "http://[::1]:8470/",
        "https://hub.example",
        "https://192.0.2.7:8470",
    ],
)
def test_hubs_that_may_be_sent_to(hub: str) -> None:
    AgentSettings(hub=hub).check()


@pytest.mark.parametrize(
    ("hub", "reason"),
    [
        ("http://192.0.2.7:8470", "unencrypted"),
        ("http://hub.example:8470", "unencrypted"),
        ("http://127.0.0.1.example:8470", "unencrypted"),
        ("http://localhost@hub.example", "unencrypted"),
        ("http://0.0.0.0:8470", "unencrypted"),
        ("hub.example:8470", "write a URL"),
        ("ftp://hub.example", "write a URL"),
        ("https://", "write a URL"),
        ("https://hub:port", "Port"),
        ("http://[::1", "IPv6"),
    ],
)
def test_hubs_that_are_refused(hub: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        AgentSettings(hub=hub).check()


def test_an_authority_file_without_a_certificate(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    with pytest.raises(SettingsError, match="no certificate"):
        AgentSettings(hub="https://hub.example", ca_file=path).check()
    AgentSettings(hub="https://hub.example", ca_file=tmp_path / "absent").check()  # it may come later
