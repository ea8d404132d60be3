"""What an operator can switch: event classes, rules, the sensor; and what is said when a right is missing."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Kubelet, Pod
from lab.pod import random_name
from lab.stack import Stack
from tests.stack_support import (
    PROGRAM,
    ExtraAgent,
    each_once,
    eventually,
    generator,
    keelwatch,
    random_deployment,
    settle,
)

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
OWN_RULE = """
- list: forbidden_tools
  items: [id, hostid]
- rule: Tool nobody needs here
  desc: Our own.
  condition: in_container and program_started and proc.name in (forbidden_tools)
  output: Tool nobody needs here | tool=%proc.name pod=%k8s.pod.name
  priority: NOTICE
  tags: [own]
"""
WRONG = {
    "a.yaml": "- rule: One\n  desc: d\n  condition: proc.nam = x\n  output: o\n  priority: NOTICE\n",
    "b.yaml": (
        "- macro: two\n  condition: evt.type = execve and (proc.name = a\n"
        "- rule: Three\n  desc: d\n  condition: evt.type = execve\n  output: o\n  priority: LOUD\n"
    ),
    "c.yaml": "- rule: [unclosed\n",
}


def test_a_rule_of_ones_own_fires_besides_the_shipped_ones(
    stack: Stack, cri_pod: Pod, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(OWN_RULE)
    with ExtraAgent(stack, "--rules", str(tmp_path), "--no-logs") as agent:
        cri_pod.run("id")
        cri_pod.shell("echo x >> /etc/passwd")
        agent.wait_for(lambda: len(agent.records("alerts", namespace=cri_pod.namespace)) >= 2, "no alert")
        alerts = agent.records("alerts", namespace=cri_pod.namespace)
    assert {alert["rule"] for alert in alerts} == {
        "Tool nobody needs here",
        "Account or privilege file changed",
    }
    [own] = [alert for alert in alerts if alert["rule"] == "Tool nobody needs here"]
    assert own["output"] == f"Tool nobody needs here | tool=id pod={cri_pod.name}"
    assert (own["priority"], own["tags"]) == ("NOTICE", ["own"])


def test_only_ones_own_rules(stack: Stack, cri_pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text(
        "- macro: in_container\n  condition: container.id != host\n"
        "- macro: program_started\n  condition: evt.type = execve and evt.rawres >= 0\n"
    )
    (tmp_path / "own.yaml").write_text(OWN_RULE)
    with ExtraAgent(stack, "--rules", str(tmp_path), "--no-default-rules", "--no-logs") as agent:
        cri_pod.shell("echo x >> /etc/passwd")
        cri_pod.run("id")
        agent.wait_for(lambda: agent.records("alerts", namespace=cri_pod.namespace), "no alert")
        assert {a["rule"] for a in agent.records("alerts")} == {"Tool nobody needs here"}


def test_an_event_class_that_is_off_is_not_seen(stack: Stack, kubelet: Kubelet, cri_pod: Pod) -> None:
    off = [word for kind in ("mount", "open", "chmod") for word in ("--off", kind)]
    with ExtraAgent(stack, *off, "--no-logs") as agent:
        cri_pod.shell("echo x >> /etc/passwd; touch /tmp/a; chmod 755 /tmp/a; rm /tmp/a")
        started = kubelet.run_pod(random_deployment(1).pods()[0])
        settle(stack, kubelet, agent.node)
        kinds = {event["kind"] for event in agent.records("events", tail=100_000)}
        alerts = agent.records("alerts", namespace=cri_pod.namespace)
    assert {"exec", "unlink", "setns"} <= kinds
    assert not kinds & {"mount", "open", "chmod"}
    assert alerts == []

    def seen_by_the_other() -> bool:
        rows = stack.records("events", namespace=cri_pod.namespace)
        return {"open", "chmod"} <= {row["kind"] for row in rows if row["node"] != agent.node}

    eventually(seen_by_the_other, "the other agent, where nothing is off, did not see it either")
    started.delete(grace=0, linger=0)


def test_an_unknown_event_class_is_a_usage_error() -> None:
    done = keelwatch("agent", "--off", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert "exec" in done.stderr


def test_every_mistake_in_the_rules_is_told_with_its_place(tmp_path: Path) -> None:
    for name, text in WRONG.items():
        (tmp_path / name).write_text(text)
    done = keelwatch("agent", "--rules", str(tmp_path), "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    for place in ("a.yaml:3:14:", "b.yaml:2:", "b.yaml:7:13:", "c.yaml:"):
        assert f"{tmp_path}/{place}" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_without_the_sensor_logs_are_kept_and_the_gap_is_told(stack: Stack, kubelet: Kubelet) -> None:
    with ExtraAgent(stack, "--no-sensor") as agent:
        [pod] = kubelet.run_deployment(random_deployment(1, generator("line", 300, "-r", "200")))
        where = {"namespace": pod.namespace}
        agent.wait_for(lambda: each_once(agent.records("logs", **where), "line", 300), "lines are missing")
        [first, *_] = agent.records("logs", namespace=pod.namespace)
        assert (first["pod"], first["workload_kind"]) == (pod.name, "Deployment")
        pod.run("ls")
        pod.delete()
        agent.wait_for(
            lambda: [r for r in agent.lifecycle("container_ended") if r["pod"] == pod.name], "no end is seen"
        )
        assert agent.records("events") == []
    gaps = eventually(lambda: [gap for gap in agent.records("gaps") if gap["cause"] == "sensor_off"])
    assert gaps[0]["what"] == "events"
    assert "--no-sensor" in gaps[0]["detail"]


def test_logs_can_be_switched_off(stack: Stack, kubelet: Kubelet) -> None:
    with ExtraAgent(stack, "--no-logs", "--no-sensor") as agent:
        [pod] = kubelet.run_deployment(random_deployment(1, generator("line", 10)))
        eventually(lambda: each_once(stack.records("logs", namespace=pod.namespace), "line", 10))
        assert agent.records("logs") == []


def readable_by_nobody() -> bool:
    """Whether another user could run this checkout at all."""
    probe = [*NOBODY, *PROGRAM, "--version"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """Runs keelwatch without any right, in a folder that others may read."""
    if not readable_by_nobody():
        pytest.skip("other users may not read this checkout or its Python")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Nobody(Path(folder))


def test_a_user_who_may_not_write_the_spool_is_told(nobody: Nobody) -> None:
    data = nobody.folder / "data"
    token = nobody.folder / "token"
    token.write_text("x")
    done = nobody.run("agent", "--data", str(data), "--token-file", str(token))
    assert done.returncode == 2, done.stderr
    assert f"--data {data}: Permission denied" in done.stderr
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_root_it_goes_on_with_what_works_and_says_what_does_not(stack: Stack, nobody: Nobody) -> None:
    name = f"node-{random_name(6)}"
    data, token = nobody.folder / "data", nobody.folder / "token"
    data.mkdir()
    data.chmod(0o777)
    token.write_text((stack.directory / "data" / "agent.token").read_text())
    token.chmod(0o644)
    where = ["--hub", stack.address, "--token-file", str(token), "--data", str(data), "--node", name]
    process = nobody.start("agent", *where, "--metrics-listen", "")
    eventually(lambda: stack.records("lifecycle", node=name), nobody.said())
    process.terminate()
    assert process.wait(30) == 0
    [gap] = eventually(lambda: stack.records("gaps", node=name))
    assert (gap["cause"], gap["what"]) == ("sensor_off", "events")
    assert "needs root" in gap["detail"]
    assert "the sensor is off, only logs are collected" in nobody.said()
    assert "needs root" in nobody.said()
    assert "Traceback" not in nobody.said()


def test_doctor_says_the_same_to_a_user_without_rights(stack: Stack, nobody: Nobody) -> None:
    done = nobody.run("doctor", "--hub", stack.address)
    assert done.returncode == 1, done.stderr
    assert "needs root" in done.stdout


class Nobody:
    """The user who may nothing, with an empty configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._environment = {**os.environ, "NO_COLOR": "1", "KEELWATCH_CONFIG": str(folder / "config")}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*NOBODY, *PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=self._environment)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            command = [*NOBODY, *PROGRAM, *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    def said(self) -> str:
        return self.log.read_text()
