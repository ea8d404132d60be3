"""Who ran it: requests of real users to a real API server, and the processes that they started.

A hub that reads the cluster's audit log and an agent with the sensor, both as programs of this machine,
so it runs where the control plane and the node do (lab/cluster).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import websocket
import yaml
from kubernetes import config

from keelwatch.capture.ring import problems
from lab.images import workload_image, write_archive
from tests.e2e_support import PROJECT, until
from tests.hub_support import HubProcess

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.sensor, pytest.mark.timeout(600)]

ADMIN = Path(os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig"))
ALICE = ADMIN.with_name("alice.kubeconfig")
AUDIT_LOG = Path(os.environ.get("KEELWATCH_TEST_AUDIT_LOG", "/tmp/lab/log/audit.log"))
NAME = f"access-{uuid4().hex[:6]}"
IMAGE = "docker.io/keelwatch-test/access:1"
PROGRAM = (sys.executable, "-m", "keelwatch.cli.main")
PATHS = os.environ | {"PATH": f"/opt/kubernetes/bin:{os.environ['PATH']}", "NO_COLOR": "1"}
APP = "while read line; do eval $line; done; sleep 100000"
RIGHTS = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {
        "apiGroups": [""],
        "resources": ["pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"],
        "verbs": ["get", "create", "patch"],
    },
]
Record = dict[str, Any]


def kubectl(*words: str, who: Path = ADMIN, stdin: str = "", check: bool = True, seconds: int = 120) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(who), *words],
        input=stdin, text=True, capture_output=True, timeout=seconds, env=PATHS,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def typing(who: Path, *words: str, text: str) -> Iterator[None]:
    """A user at a session that stays open meanwhile."""
    command = ["kubectl", "--kubeconfig", str(who), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=PATHS
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{text}\n".encode())
        process.stdin.flush()
        try:
            yield
        finally:
            process.terminate()


class World:
    """A hub, an agent, a namespace with one pod."""

    def __init__(self, folder: Path) -> None:
        self.hub = HubProcess(folder / "hub")
        self.hub.data.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.hub.url = f"http://{self.address}"
        self.folder = folder
        self.agent: subprocess.Popen[bytes] | None = None
        self.copier: subprocess.Popen[bytes] | None = None
        self.pod = ""

    def copy_audit(self) -> None:
        """From now on: what the cluster's log has from before would only take time to read."""
        with (self.folder / "audit.log").open("ab") as log:
            self.copier = subprocess.Popen(["tail", "-n", "0", "-F", str(AUDIT_LOG)], stdout=log)

    def start_hub(self) -> None:
        data = self.hub.data
        tokens = [
            "--admin-token-file",
            str(data / "admin.token"),
            "--agent-token-file",
            str(data / "agent.token"),
        ]
        where = [
            "--data",
            str(data),
            "--listen",
            self.address,
            "--cluster",
            "lab",
            "--audit-log",
            str(self.folder / "audit.log"),
        ]
        with (self.folder / "hub.log").open("ab") as log:
            self.hub.process = subprocess.Popen([*PROGRAM, "hub", *where, *tokens], stdout=log, stderr=log)
        assert self.hub.ready(60), self.hub.log()

    def start_agent(self) -> None:
        """Return when an exec is seen, so that nothing that follows is missed."""
        data = self.folder / "agent"
        where = [
            "--hub",
            self.hub.url,
            "--token-file",
            str(self.hub.data / "agent.token"),
            "--data",
            str(data),
        ]
        own = ["--metrics-listen", "", "--node", "node-a", "--cluster", "lab"]
        with (self.folder / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen([*PROGRAM, "agent", *where, *own], stdout=log, stderr=log)
        mark = f"mark-{uuid4().hex[:6]}"

        def seen() -> bool:
            kubectl("exec", "-n", NAME, self.pod, "-c", "app", "--", "busybox", "echo", mark)
            return bool(self.hub.records("events", namespace=NAME, grep=mark))

        assert until(seen), (self.folder / "agent.log").read_text()[-3000:]

    def stop_agent(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait(60)

    def sessions(self, **filters: str) -> list[Record]:
        return self.hub.records("access", namespace=NAME, **filters)

    def session(
        self, want: Callable[[Record], bool], settled: Callable[[Record], Any], **filters: str
    ) -> Record:
        """The session, whole, as soon as it is settled."""

        def found() -> Record | None:
            known = [one for one in self.sessions(**filters) if want(one)]
            return (
                self.hub.json(f"/api/v1/access/{known[-1]['id']}") if known and settled(known[-1]) else None
            )

        known = until(found)
        assert known, [one for one in self.sessions(**filters) if want(one)]
        return known

    def exec(self, *command: str, who: Path = ALICE, container: str = "app", **more: Any) -> str:
        words = ["exec", "-n", NAME, self.pod, "-c", container]
        return kubectl(*words, *(["-i"] if "stdin" in more else []), "--", *command, who=who, **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not ALICE.exists() or not os.access(AUDIT_LOG, os.R_OK):
        pytest.skip(f"no cluster with a second user and a readable audit log here: {ALICE}, {AUDIT_LOG}")
    if lacks := problems():
        pytest.skip("; ".join(lacks))
    made = World(tmp_path_factory.mktemp("access"))
    archive = made.folder / "image.tar"
    write_archive(workload_image(IMAGE), archive)
    subprocess.run(
        [str(PROJECT / "lab/cluster/load"), str(archive)], check=True, capture_output=True, env=PATHS,
    )  # fmt: skip
    try:
        made.pod = _pod()
        made.copy_audit()
        made.start_hub()
        made.start_agent()
        yield made
    finally:
        for process in (made.agent, made.hub.process, made.copier):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        kubectl("delete", "namespace", NAME, "--wait=false", check=False)


def _pod() -> str:
    kubectl("create", "namespace", NAME)
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "enter", "namespace": NAME}}
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    binding = {
        "roleRef": group | {"kind": "Role", "name": "enter"},
        "subjects": [group | {"kind": "User", "name": "alice"}],
    }
    probe = {"exec": {"command": ["busybox", "true"]}, "periodSeconds": 3}
    app = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "stdin": True,
        "command": ["sh", "-c", APP],
    }
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "till", "namespace": NAME},
        "spec": {"containers": [app, app | {"name": "probed", "stdin": False, "command": ["sleep", "100000"],
                                            "livenessProbe": probe}],
                 "terminationGracePeriodSeconds": 0},
    }  # fmt: skip
    parts = [rbac | {"kind": "Role", "rules": RIGHTS}, rbac | {"kind": "RoleBinding"} | binding, pod]
    kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(parts))
    kubectl("wait", "-n", NAME, "pod/till", "--for=condition=Ready", "--timeout=100s")
    return "till"


def lines(node: Record) -> list[str]:
    """The commands of a tree."""
    own = [image["cmdline"] for image in node["images"]]
    return own + [line for child in node["children"] for line in lines(child)]


def paths(node: Record) -> list[tuple[str, str]]:
    own = [(doing["path"], doing["file_container"]) for doing in node["doings"]]
    return own + [path for child in node["children"] for path in paths(child)]


def test_an_exec_is_its_users_with_everything_it_did(world: World) -> None:
    script = "busybox cp /bin/busybox /tmp/fresh; /tmp/fresh nosuch; "
    script += "(busybox sleep 2; busybox touch /tmp/late)& busybox id"
    world.exec("sh", "-c", script, check=False)
    found = world.session(
        lambda one: "/tmp/fresh" in one["command"], lambda one: one["state"] == "ended" and one["files"] >= 2
    )
    assert (found["user"], found["kind"], found["confidence"], found["reason"]) == (
        "alice",
        "exec",
        "certain",
        "",
    )
    assert "developers" in found["groups"]
    assert found["source_ips"]
    assert found["command"] == f"sh -c {script}"
    (root,) = found["tree"]
    assert {
        "busybox cp /bin/busybox /tmp/fresh",
        "/tmp/fresh nosuch",
        "busybox id",
        "busybox touch /tmp/late",
    } <= set(lines(root))
    assert {"/tmp/fresh", "/tmp/late"} <= {path for path, _ in paths(root)}
    rules = {alert["rule"] for alert in found["alert_records"]}
    assert "New program run in a container" in rules
    for alert in world.hub.records("alerts", namespace=NAME, grep="/tmp/fresh"):
        if alert["source"] == "syscall":
            assert alert["user"] == "alice"
            assert [one["id"] for one in alert["access"]] == [found["id"]]


def test_equal_execs_of_two_users_at_once_are_not_certain(world: World) -> None:
    """What each typed tells the truth; the requests are equal."""
    confidences = set()
    for attempt in range(8):
        with ThreadPoolExecutor(2) as pool:
            typed = {name: f"busybox echo {name}-{attempt}; busybox sleep 2\n" for name in ("alice", "admin")}
            list(pool.map(lambda pair: world.exec("sh", "-s", who=pair[0], stdin=pair[1]),
                          ((ALICE, typed["alice"]), (ADMIN, typed["admin"]))))  # fmt: skip
        for name in typed:
            found = world.session(
                lambda one, name=name: one["command"] == "sh -s" and one["user"] == name,
                lambda one: one["state"] == "ended" and one["trees"],
            )
            assert found["confidence"] in ("likely", "ambiguous"), found
            assert "alice" in found["reason"] or found["confidence"] == "likely"
            assert f"busybox echo {name}-{attempt}" in [
                line for root in found["tree"] for line in lines(root)
            ]
            if found["confidence"] == "likely":
                assert len(found["tree"]) == 1
            else:
                assert len(found["candidates"]) == 2
                assert "admin and alice" in found["reason"]
            confidences.add(found["confidence"])
        if "ambiguous" in confidences:
            break
        time.sleep(5)
    assert "ambiguous" in confidences


def test_a_probe_with_the_same_command_makes_it_less_than_certain(world: World) -> None:
    time.sleep(4)
    world.exec("busybox", "true", container="probed")
    found = world.session(lambda one: one["container"] == "probed", lambda one: one["trees"])
    assert found["confidence"] in ("likely", "ambiguous")
    assert "probe" in found["reason"]


def test_a_debug_is_its_users_with_what_it_did_to_the_targets_files(world: World) -> None:
    run = "busybox cp /bin/busybox /proc/1/root/tmp/tool; /proc/1/root/tmp/tool true"
    typed = f"busybox echo spoiled > /proc/1/root/etc/shop/checkout.conf; {run}"
    words = [
        "debug",
        "-i",
        "-n",
        NAME,
        world.pod,
        f"--image={IMAGE}",
        "--image-pull-policy=Never",
        "--target=app",
    ]
    with typing(ALICE, *words, "--", "sh", text=typed):
        found = world.session(
            lambda one: one["kind"] == "debug", lambda one: one["files"] and len(one["requests"]) > 1
        )
    assert (found["user"], found["confidence"], found["target_container"]) == ("alice", "certain", "app")
    assert found["debug_image"] == IMAGE
    assert ("/etc/shop/checkout.conf", "app") in [path for root in found["tree"] for path in paths(root)]
    alerts = [
        one for one in found["alert_records"] if one["rule"] == "File of a container changed from outside"
    ]
    assert alerts
    assert {alert["user"] for alert in alerts} == {"alice"}
    # The program is the target's file: it is there, and is examined there.
    assert "Program deleted before it could be examined" not in {
        one["rule"] for one in found["alert_records"]
    }


def test_a_debug_of_a_node_is_its_users(world: World) -> None:
    mark = f"/host/tmp/debugged-{uuid4().hex[:6]}"
    words = ["debug", "-i", "-n", NAME, "node/node-a", f"--image={IMAGE}", "--image-pull-policy=Never"]
    with typing(ADMIN, *words, "--profile=general", "--", "sh", text=f"busybox touch {mark}; rm {mark}"):
        found = world.session(lambda one: one["target_container"] == "node/node-a", lambda one: one["files"])
    assert (found["user"], found["kind"], found["confidence"]) == ("admin", "debug", "certain")
    assert found["pod"].startswith("node-debugger-")
    assert len(found["requests"]) > 1, "its attach belongs to it"
    assert mark in [path for root in found["tree"] for path, _ in paths(root)]
    assert "attach" not in {one["kind"] for one in world.sessions(pod=found["pod"])}


def test_a_copy_of_a_pod_is_a_debug_of_who_made_it(world: World) -> None:
    words = ["debug", "-i", "-n", NAME, world.pod, "--copy-to=copied", f"--image={IMAGE}"]
    words += ["--image-pull-policy=Never", "--container=inspector", "--profile=general"]
    with typing(ADMIN, *words, "--", "sh", text="busybox touch /tmp/in-the-copy"):
        found = world.session(lambda one: one["pod"] == "copied", lambda one: one["files"])
    assert (found["user"], found["kind"], found["container"]) == ("admin", "debug", "inspector")
    assert (found["confidence"], found["debug_image"]) == ("certain", IMAGE)
    assert "/tmp/in-the-copy" in [path for root in found["tree"] for path, _ in paths(root)]


def test_an_attach_ties_to_the_process_that_ran_before(world: World) -> None:
    with typing(
        ALICE, "attach", "-i", "-n", NAME, world.pod, "-c", "app", text="busybox touch /tmp/attached"
    ):
        found = world.session(lambda one: one["kind"] == "attach", lambda one: one["files"])
    assert (found["user"], found["container"], found["confidence"]) == ("alice", "app", "likely")
    assert "ran before" in found["reason"]
    assert "/tmp/attached" in [path for root in found["tree"] for path, _ in paths(root)]


def test_what_a_session_left_running_is_said_until_it_ends(world: World) -> None:
    """A background process that does nothing that would be seen."""
    world.exec("busybox", "id", "-u")
    world.exec("sh", "-c", "busybox sleep 25 >/dev/null 2>&1 </dev/null & exit 0")
    left = world.session(
        lambda one: "sleep 25" in one["command"], lambda one: one["state"] == "ended" and one["trees"]
    )
    assert left["running"] == 1
    assert left["tree"][0]["over"] == ""
    over = world.session(lambda one: "sleep 25" in one["command"], lambda one: not one["running"])
    assert over["tree"][0]["over"]
    done = world.session(lambda one: one["command"] == "busybox id -u", lambda one: one["state"] == "ended")
    assert done["running"] == 0


def test_a_session_goes_on_over_a_new_agent(world: World) -> None:
    """What was done before the agent was replaced and what was done after it are one tree."""
    script = "busybox touch /tmp/old-agent; busybox sleep 20; busybox touch /tmp/new-agent"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.exec, "sh", "-c", script)
        world.session(lambda one: "new-agent" in one["command"], lambda one: one["files"])
        world.stop_agent()
        world.start_agent()
        running.result()
    found = world.session(
        lambda one: "new-agent" in one["command"], lambda one: one["state"] == "ended" and one["files"] == 2
    )
    (root,) = found["tree"]
    assert {"/tmp/old-agent", "/tmp/new-agent"} <= {path for path, _ in paths(root)}


def test_a_port_forward_is_a_session_without_a_tree(world: World) -> None:
    with subprocess.Popen(
        ["kubectl", "--kubeconfig", str(ALICE), "port-forward", "-n", NAME, world.pod, ":80"],
        env=PATHS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        found = world.session(lambda one: one["kind"] == "port-forward", lambda one: True)
        process.terminate()
    assert (found["confidence"], found["trees"], found["tree"]) == ("none", [], [])
    assert "starts no process" in found["reason"]


def test_what_was_refused_or_ran_nothing_is_told(world: World) -> None:
    world.exec("no-such-program", check=False)
    found = world.session(
        lambda one: one["command"] == "no-such-program", lambda one: one["state"] == "ended"
    )
    assert found["confidence"] == "none"
    kubectl("exec", "-n", "kube-system", "nobody", "--", "true", who=ALICE, check=False)
    assert not world.hub.records("access", namespace="kube-system", user="alice")


def exec_with_audit_id(chosen: str, pod: str, text: str) -> None:
    """`busybox echo TEXT`, as alice, over a WebSocket with a header that kubectl does not send."""
    client = config.new_client_from_config(str(ALICE)).configuration
    query = urlencode([("command", "busybox"), ("command", "echo"), ("command", text), ("container", "app"),
                       ("stdout", "true")])  # fmt: skip
    host = client.host.replace("https://", "wss://")
    files = {"ca_certs": client.ssl_ca_cert, "certfile": client.cert_file, "keyfile": client.key_file}
    socket_ = websocket.create_connection(
        f"{host}/api/v1/namespaces/{NAME}/pods/{pod}/exec?{query}",
        header={"Audit-ID": chosen}, subprotocols=["v4.channel.k8s.io"], sslopt=files, timeout=60,
    )  # fmt: skip
    try:
        while text.encode() not in socket_.recv():
            pass
    finally:
        socket_.close()


def test_a_chosen_audit_id_hides_nothing(world: World) -> None:
    """The API server takes the id from the caller: both sessions are there."""
    chosen = f"chosen-{uuid4().hex[:6]}"
    for mark in ("first", "second"):
        exec_with_audit_id(chosen, world.pod, f"{chosen}-{mark}")
        time.sleep(0.5)

    def both() -> list[Record]:
        found = [one for one in world.sessions(grep=chosen) if one["confidence"] == "certain"]
        return found if len(found) == 2 else []

    found = until(both)
    assert [one["requests"] for one in found] == [[chosen], [chosen]], world.sessions(grep=chosen)
    assert [one["command"].rpartition("-")[2] for one in found] == ["first", "second"]
    assert len({one["id"] for one in found}) == 2


def test_way_of_the_kubelet_is_seen_and_told(world: World) -> None:
    kubectl("create", "--raw", f"/api/v1/nodes/node-a/proxy/run/{NAME}/{world.pod}/app?cmd=busybox%20uname",
            "-f", "/dev/null")  # fmt: skip
    found = world.session(lambda one: one["command"] == "busybox uname", lambda one: one["trees"])
    assert (found["user"], found["through"], found["confidence"]) == ("admin", "nodes/proxy", "certain")
    alerts = world.hub.records("alerts", rule="Pod entered by way of its node", grep="busybox uname")
    assert {(one["pod"], one["user"]) for one in alerts} == {(world.pod, "admin")}


def test_a_kill_of_the_hub_neither_loses_nor_doubles_a_session(world: World) -> None:
    before = {one["id"]: one for one in world.sessions()}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.exec, "sh", "-c", "busybox sleep 6; busybox touch /tmp/after-kill")
        time.sleep(3)
        world.hub.kill()
        world.start_hub()
        running.result()
    found = world.session(
        lambda one: "after-kill" in one["command"], lambda one: one["state"] == "ended" and one["files"]
    )
    assert (found["user"], found["confidence"]) == ("alice", "certain")
    after = world.sessions()
    assert len(after) == len({one["id"] for one in after})
    told = ("user", "confidence", "trees", "command", "kind")
    kept = {one["id"]: one for one in after}
    for name, session in before.items():
        assert {key: kept[name][key] for key in told} == {key: session[key] for key in told}


def test_the_command_line_shows_the_tree(world: World) -> None:
    (found,) = [one for one in world.sessions() if "/tmp/fresh" in one["command"]]
    told = {"KEELWATCH_HUB": world.hub.url, "KEELWATCH_TOKEN": world.hub.token("admin")}
    run = [*PROGRAM, "access"]
    shown = subprocess.run(
        [*run, found["id"]], env=PATHS | told, capture_output=True, text=True, check=True
    ).stdout
    assert "└─ /tmp/fresh nosuch" in shown
    assert "certain" in shown
    listed = subprocess.run(
        [*run, "-n", NAME, "--user", "alice", "--kind", "debug"],
        env=PATHS | told,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert listed.count("alice") == 1


def test_without_an_agent_the_reason_is_said(world: World) -> None:
    world.stop_agent()
    world.exec("busybox", "echo", "unseen")
    world.start_agent()
    found = world.session(
        lambda one: one["command"] == "busybox echo unseen", lambda one: "agent_down" in one["reason"]
    )
    assert (found["user"], found["confidence"]) == ("alice", "none")
