"""doctor's questions, on this machine and on files that stand for others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from keelwatch.cli import checks
from keelwatch.cli.main import main


@pytest.mark.parametrize(
    ("release", "state"),
    [("6.1.0-18-amd64", "ok"), ("5.8.0", "ok"), ("5.7.19", "fail"), ("4.18", "fail"), ("x", "fail")],
)
def test_kernel(monkeypatch: pytest.MonkeyPatch, release: str, state: str) -> None:
    monkeypatch.setattr(checks.platform, "release", lambda: release)
    assert checks.kernel().state == state


@pytest.mark.parametrize(
    ("modes", "state", "found"),
    [("[none] integrity confidentiality\n", "ok", "none"),
     ("none [integrity] confidentiality\n", "ok", "integrity"),
     ("none integrity [confidentiality]\n", "fail", "confidentiality")],
)  # fmt: skip
def test_lockdown(tmp_path: Path, modes: str, state: str, found: str) -> None:
    (tmp_path / "lockdown").write_text(modes)
    check = checks.lockdown(tmp_path / "lockdown")
    assert (check.state, check.found) == (state, found)
    assert bool(check.mend) == (state == "fail")


def test_btf(tmp_path: Path) -> None:
    check = checks.btf(tmp_path / "vmlinux")
    assert check.state == "fail"
    assert "CONFIG_DEBUG_INFO_BTF" in check.mend


def test_log_folders(tmp_path: Path) -> None:
    assert checks.logs((tmp_path,)).state == "ok"
    assert checks.logs((tmp_path / "none",)).state == "warn"


def test_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert str(tmp_path) in checks.disk(tmp_path / "not" / "yet").found


def test_doctor_prints_every_check_and_fails_when_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEELWATCH_CONFIG", str(tmp_path / "none.yaml"))
    result = CliRunner().invoke(
        main, ["doctor", "-o", "json", "--hub", "http://127.0.0.1:9", "--data", str(tmp_path)]
    )
    found = [json.loads(line) for line in result.output.splitlines()]
    assert [check["name"] for check in found] == [
        "kernel", "processor", "BTF", "privileges", "lockdown", "libbpf", "sensor", "runtimes",
        "log folders", "disk", "hub",
    ]  # fmt: skip
    assert found[-1]["state"] == "fail"
    assert "keelwatch up" in found[-1]["mend"]
    assert result.exit_code == 1
    assert all(check["mend"] for check in found if check["state"] == "fail")


def test_rules_check_reports_every_mistake_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "- rule: a\n  desc: x\n  condition: evt.typ = foo\n  output: x\n  priority: CRITICL\n"
        "- rule: b\n  desc: x\n  condition: evt.type = execve and (\n  output: x\n  priority: ERROR\n"
    )
    result = CliRunner().invoke(main, ["rules", "check", str(file), "-o", "json"])
    found = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 1
    assert {(one["line"], one["level"]) for one in found} >= {(3, "error"), (5, "error"), (8, "error")}
    assert all(one["file"] == str(file) and one["column"] > 0 for one in found)


def test_our_own_rules_are_listed_and_sound() -> None:
    listed = CliRunner().invoke(main, ["rules", "list", "-o", "json"])
    assert listed.exit_code == 0
    rules = [json.loads(line) for line in listed.output.splitlines()]
    assert len(rules) > 5
    assert {"rule", "priority", "tags", "kinds", "file", "line", "desc"} <= set(rules[0])
