"""What containers and their operators do all day raises no alert: each of these would be a false one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import ContainerSpec, Kubelet, Mount, PodSpec, sleeping_pod
from lab.pod import random_name
from lab.stack import Record, Stack
from tests.stack_support import generator, random_deployment, settle

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

COPY_UP = (
    "chown 0:0 /usr/local/bin/loggen && /usr/local/bin/loggen -n 1 & sleep 0.1; kill $! ; "
    "touch /usr/local/bin/healthcheck; chown 0 /usr/local/bin/healthcheck && /usr/local/bin/healthcheck"
)
EVERY_DAY = {
    "look around": "ls -la / /usr/local/bin /etc; ps; id; hostname; cat /etc/passwd /proc/self/status",
    "pipe": "ls /bin | sort | head -3 | wc -l",
    "write to /tmp": "echo a > /tmp/a; echo b >> /tmp/a; cp /tmp/a /tmp/b; mv /tmp/b /tmp/c; rm /tmp/c",
    "write to /var/log": "mkdir -p /var/log/app; echo started > /var/log/app/app.log",
    "home": "mkdir -p /home/shop/data; echo 1 > /home/shop/data/state; rm /home/shop/data/state",
    "pid file": "echo $$ > /run/app.pid; rm /run/app.pid",
    "data file made executable by a wide umask": "umask 0; echo x > /tmp/open; chmod 666 /tmp/open",
    "environment": "FOO=bar LD_LIBRARY_PATH=/usr/lib /bin/true; PATH=/bin ls",
    "copy-up without a change": COPY_UP,
    "a program that is not there": "/bin/no-such-program 2>/dev/null; true",
    "read the shell's history": "cat /root/.ash_history 2>/dev/null; true",
}


@pytest.fixture(scope="module")
def quiet(stack: Stack, module_kubelet: Kubelet) -> str:
    """Everything at once, in one namespace of its own; the pods are gone at the end."""
    namespace = f"quiet-{random_name(6)}"
    pods = [
        module_kubelet.run_pod(spec) for spec in (_plain(namespace), _strict(namespace), _mounted(namespace))
    ]
    for name, script in EVERY_DAY.items():
        code, out, err = pods[0].exec(pods[0].container.name, ["/bin/sh", "-c", script])
        assert code == 0, (name, out, err)
    for pod in pods:
        pod.run("ls", "/")
    pods[0].restart_container(pods[0].container.name)
    pods[0].run("ls", "/")
    pods[0].rotate_logs(pods[0].container.name)
    for pod in pods:
        pod.delete(grace=0, linger=0.2)
    settle(stack, module_kubelet)
    return namespace


def _plain(namespace: str) -> PodSpec:
    deployment = random_deployment(1, generator("line", 20, "-r", "20"))
    [spec] = deployment.pods()
    return PodSpec(namespace, spec.name, spec.containers, spec.labels)


def _strict(namespace: str) -> PodSpec:
    """As a hardened pod: not root, read-only root file system, with what a chart sets as environment."""
    container = ContainerSpec(
        "app",
        command=("/bin/sh", "-c", "echo up; exec sleep 100000"),
        env={"PATH": "/usr/local/bin:/bin", "LD_LIBRARY_PATH": "/usr/lib", "PYTHONPATH": "/app"},
        readonly_root=True,
        user=1000,
    )
    return PodSpec(namespace, f"pod-{random_name(5)}", (container,))


def _mounted(namespace: str) -> PodSpec:
    """Two containers, one with a host path, one privileged that does nothing with it."""
    sleeper = sleeping_pod(namespace, privileged=True)
    mounted = ContainerSpec(
        "mounted", command=("toolbox", "sleep", "100000"), mounts=(Mount(Path("/usr/share"), "/data", True),)
    )
    return PodSpec(namespace, sleeper.name, (*sleeper.containers, mounted))


def test_nothing_of_it_is_an_alert(stack: Stack, quiet: str) -> None:
    alerts = [a for a in stack.records("alerts") if quiet in (a["namespace"], a["file_namespace"])]
    assert [_told(alert) for alert in alerts] == []


def test_it_was_observed_all_the_same(stack: Stack, quiet: str) -> None:
    """Without this the test above would pass with a blind sensor."""
    events = stack.records("events", namespace=quiet, phase="run")
    commands = {event["process"]["cmdline"] for event in events if event["kind"] == "exec"}
    for script in EVERY_DAY.values():
        assert any(script in command for command in commands), script
    assert any(event["path"] == "/var/log/app/app.log" for event in events)


def test_a_copied_up_file_is_known_to_be_the_images(stack: Stack, quiet: str) -> None:
    events = stack.records("events", namespace=quiet, kind="exec", phase="run")
    found = [e for e in events if e["path"] == "/usr/local/bin/loggen" and e["upper"]]
    assert {event["drift"] for event in found} == {"image"}


def test_the_agents_own_start_is_no_alert(stack: Stack) -> None:
    """Nothing fired for the node itself, and nothing is unaccounted for."""
    hosts = [alert for alert in stack.records("alerts") if not alert["container_id"]]
    assert [_told(alert) for alert in hosts if alert["process"]["name"].startswith("keelwatch")] == []


def test_no_event_was_lost(stack: Stack, quiet: str) -> None:
    causes = {(gap["what"], gap["cause"]) for gap in stack.records("gaps")}
    assert not {cause for _, cause in causes} & {"ring_full", "map_full", "decode_error", "spool_full"}


def _told(alert: Record) -> tuple[str, str, str, str]:
    return alert["rule"], alert["pod"], alert["path"], alert["process"]["cmdline"]
