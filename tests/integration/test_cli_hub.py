"""The command line against a real hub with a real store: what a person types, what a script reads."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
import yaml

PROGRAM = [sys.executable, "-m", "keelwatch.cli.main"]
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from browser_records import Sender, attack, container_id, instance  # noqa: E402  # lies beside the browser's tests


class Commands:
    """`keelwatch …` with a configuration of its own."""

    def __init__(self, config: Path) -> None:
        self.environment = {**os.environ, "KEELWATCH_CONFIG": str(config), "NO_COLOR": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, status: int = 0) -> str:
        running = self.start(*arguments)
        out, err = running.communicate(timeout=60)
        assert running.returncode == status, err
        return out

    def records(self, *arguments: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self(*arguments, "-o", "json").splitlines()]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """`keelwatch up` without sensor and logs: a hub, an idle agent, and records sent to the hub."""
    folder = tmp_path_factory.mktemp("up")
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        hub, metrics = (f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two))
    keelwatch = Commands(folder / "config.yaml")
    options = ["--data", str(folder / "data"), "--listen", hub, "--metrics-listen", metrics]
    program = [*PROGRAM, "up", *options, "--no-sensor", "--no-logs"]
    with (folder / "up.log").open("wb") as log:
        running = subprocess.Popen(program, stdout=log, stderr=log, env=keelwatch.environment)
    deadline = time.monotonic() + 60
    while not (folder / "config.yaml").exists():
        assert running.poll() is None, (folder / "up.log").read_text()
        assert time.monotonic() < deadline, (folder / "up.log").read_text()
        time.sleep(0.1)
    attack(Sender(f"http://{hub}", (folder / "data" / "agent.token").read_text().strip()))
    keelwatch.folder = folder
    keelwatch.listen = hub
    yield keelwatch
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0, (folder / "up.log").read_text()
    assert "Traceback" not in (folder / "up.log").read_text()
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.PoolManager(retries=False).request("GET", f"http://{hub}/healthz")


def failed(up: Commands, *arguments: str, status: int) -> str:
    """What a command says that ends with this status, having started nothing."""
    running = up.start(*arguments)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (status, ""), err
    assert "Traceback" not in err
    return err


def test_a_second_one_says_what_is_in_its_way(up: Commands, tmp_path: Path) -> None:
    err = failed(up, "up", "--data", str(tmp_path / "other"), "--listen", up.listen, "--no-config", status=1)
    assert err == f"Error: {up.listen} is in use (another hub?); choose another with --listen\n"
    assert not (tmp_path / "other" / "hub").exists()
    err = failed(up, "up", "--data", str(up.folder / "data"), "--no-config", status=1)
    assert err.startswith("Error: another `keelwatch up` uses ")
    assert err.count("\n") == 1


def test_rules_are_checked_before_anything_starts(up: Commands, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("- rule: x\n  desc: x\n  condition: nosuch\n  output: x\n  priority: ERROR\n")
    err = failed(up, "up", "--data", str(tmp_path / "data"), "--rules", str(rules), status=2)
    assert f"{rules}:3:14: unknown macro 'nosuch'" in err
    assert not (tmp_path / "data").exists()


def test_with_the_fallback_both_start_and_say_what_they_left_out(up: Commands, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("- rule: x\n  desc: x\n  condition: nosuch\n  output: x\n  priority: ERROR\n")
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        hub, metrics = (f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two))
    own = ("--data", str(tmp_path / "data"), "--listen", hub, "--metrics-listen", metrics, "--no-config")
    running = up.start("up", *own, "--no-sensor", "--no-logs", "--rules", str(rules), "--rules-fallback")
    assert running.stdout is not None
    try:
        ready = any("Ctrl-C" in line for line in running.stdout)  # said when the hub has heard of the agent
    finally:
        running.terminate()
        said = running.communicate(timeout=60)[1]
    assert ready, said
    assert said.count(f"{rules}:3:14: unknown macro 'nosuch'") == 2, said


def test_an_agent_that_fails_is_no_success(up: Commands, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "agent").write_text("in the way")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{one.getsockname()[1]}"
    program = ("up", "--data", str(tmp_path / "data"), "--listen", listen, "--no-sensor", "--no-logs")
    assert "the agent did not start" in failed(up, *program, "--no-config", status=3)


def test_an_agent_needs_a_token(up: Commands) -> None:
    assert "no --token-file given" in failed(up, "agent", status=2)


def test_logs_of_all_instances_the_deleted_one_included(up: Commands) -> None:
    lines = up("logs", "-n", "shop", "deploy/checkout", "--since", "1h", "--tail", "50").splitlines()
    assert len(lines) == 50
    assert {line.split()[2] for line in lines} == {
        f"checkout-6c9f7d5b4-{end}/app" for end in ("x2x7p", "k8wzq", "m4nfd")
    }
    only = up.records("logs", "pod/checkout-6c9f7d5b4-k8wzq", "--stream", "stderr", "--grep", "inventory")
    assert only
    assert all(line["stream"] == "stderr" and "inventory" in line["message"] for line in only)
    assert up("logs", "-l", "app=orders-db", "--tail", "1").split()[2] == "orders-db-0/app"
    assert up("logs", "--no-prefix", "--tail", "1", "checkout").count(" ") < 12


def test_alerts_and_one_of_them(up: Commands) -> None:
    table = up("alerts").splitlines()
    assert table[0].split() == [
        "TIME",
        "(UTC)",
        "ID",
        "PRIORITY",
        "RULE",
        "WORKLOAD",
        "POD",
        "CONTAINER",
        "USER",
        "OUTPUT",
    ]
    assert len(table) == 9
    critical = up.records("alerts", "-n", "shop", "deploy/checkout", "--priority", "critical")
    drift, account = "New binary executed in a container", "Account file changed"
    assert [alert["rule"] for alert in critical] == [drift, account, drift]
    wanted = (
        "time rule priority tags output cluster node namespace workload pod container container_id image "
    )
    wanted += "process ancestors story count"
    assert set(wanted.split()) <= set(critical[0])
    shown = up("alerts", "show", str(critical[0]["id"]))
    for text in (
        "CRITICAL",
        "cat (pid 4411",
        "└─ /tmp/kdevtmpfsi --connect",
        "sha256",
        "0o100755",
        container_id("checkout-6c9f7d5b4-k8wzq"),
    ):
        assert text in shown, text
    assert (
        yaml.safe_load(up("alerts", "show", str(critical[0]["id"]), "-o", "yaml"))["id"] == critical[0]["id"]
    )
    up("alerts", "show", "no-such-alert", status=1)


def test_timeline_workloads_gaps_status(up: Commands) -> None:
    merged = up.records("timeline", "-n", "shop", "deploy/checkout", "--tail", "2000")
    assert {record["record"] for record in merged} == {"log", "alert", "lifecycle", "gap"}
    assert [record["time"] for record in merged] == sorted(record["time"] for record in merged)
    checkout = next(line for line in up("workloads").splitlines() if " checkout " in line).split()
    assert checkout[:5] == ["shop", "Deployment", "checkout", "2", "3"]
    assert "ended" in up("workloads", "-n", "shop", "deploy/checkout")
    up("workloads", "deploy/none", status=1)
    assert any(gap["cause"] == "agent_down" for gap in up.records("gaps", "--since", "1h"))
    assert "node-1" in up("status")
    assert json.loads(up("status", "-o", "json"))["store"]["rows"]["alerts"] >= 8


def test_following_prints_what_arrives_and_ends_quietly(up: Commands) -> None:
    token = (up.folder / "data" / "agent.token").read_text().strip()
    hub = yaml.safe_load((up.folder / "config.yaml").read_text())["hub"]
    running = up.start("logs", "-n", "followed", "-f", "--no-prefix")
    time.sleep(3)
    sender = Sender(hub, token, spool="follow-0001")
    for number in range(3):
        sender.lines(instance("p", "followed"), [(time.time_ns(), "stdout", f"line {number}")])
        assert running.stdout is not None
        assert running.stdout.readline() == f"line {number}\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err.strip()) == (130, "", "")


def test_a_closed_pipe_ends_it_quietly(up: Commands) -> None:
    command = " ".join([*PROGRAM, "logs", "--tail", "2000"])
    script = f"{command} | head -1; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(
        ["bash", "-c", script], env=up.environment, capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert found.stdout.splitlines()[1] in ("0", "141")


def test_wrong_questions_and_tokens(up: Commands) -> None:
    up("logs", "--since", "yesterday", status=2)
    up("logs", "--regex", "(", status=2)
    up("logs", "castle/x", status=2)
    up("logs", "--token", "kw-wrong-token-wrong-token", status=4)
