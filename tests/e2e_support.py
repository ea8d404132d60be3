"""keelwatch installed in a real cluster as its users install it: kubectl, helm, and the hub's API.

What may be set by the environment (tools/e2e sets it for the lab's cluster):

    KUBECONFIG                the cluster (default: the lab's)
    KEELWATCH_IMAGE           the image to install (default localhost/keelwatch:dev)
    KEELWATCH_WORKLOAD_IMAGE  the workloads' image (default: the lab's)
    KEELWATCH_NEXT_IMAGE      its next version
    KEELWATCH_HUB_PATH        a folder of the node for the hub's data; without it a volume is claimed
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import urllib3
import yaml

PROJECT = Path(__file__).parents[1]
CHART = PROJECT / "deploy/helm/keelwatch"
KUBECONFIG = os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig")
IMAGE = os.environ.get("KEELWATCH_IMAGE", "localhost/keelwatch:dev")
WORKLOAD_IMAGE = os.environ.get("KEELWATCH_WORKLOAD_IMAGE", "localhost/shop/checkout:1.4.2")
NEXT_IMAGE = os.environ.get("KEELWATCH_NEXT_IMAGE", "localhost/shop/checkout:1.5.0")
HUB_PATH = os.environ.get("KEELWATCH_HUB_PATH", "")
PATH = f"{os.environ.get('KUBE_BIN', '/opt/kubernetes/bin')}:{os.environ['PATH']}"
LAB = Path(os.environ.get("LAB", "/tmp/lab"))
HUB_DATA = "/var/lib/keelwatch/hub"
Found = TypeVar("Found")


def missing() -> str:
    """What keeps these tests from running, or ""."""
    for program in ("kubectl", "helm"):
        if shutil.which(program, path=PATH) is None:
            return f"no {program}: lab/cluster/build makes one"
    if not Path(KUBECONFIG).is_file():
        return f"no cluster: {KUBECONFIG} is not there (lab/cluster/up starts one)"
    try:
        run("kubectl", "version", "--request-timeout=5s")
    except RuntimeError as error:
        return f"no cluster: {error}"
    return ""


def no_privileged_pods() -> str:
    """Why the lab's node cannot run them, or "": CRI-O gives them every capability that there is."""
    nodes = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"]
    runtimes = {node["status"]["nodeInfo"]["containerRuntimeVersion"].partition(":")[0] for node in nodes}
    bounding = re.search(r"^CapBnd:\s*(\w+)", Path("/proc/self/status").read_text(), re.M)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    whole = bounding is not None and int(bounding[1], 16) == (1 << last + 1) - 1
    if whole or "cri-o" not in runtimes or not (LAB / "kubelet.pid").is_file():
        return ""
    return "privileged pods do not start: CRI-O gives them capabilities that this machine has not"


def run(*command: str, text: str = "", seconds: float = 300.0) -> str:
    """Run a command with the cluster's KUBECONFIG; return its output, or raise with what it said."""
    environment = {**os.environ, "KUBECONFIG": KUBECONFIG, "PATH": PATH}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, env=environment, timeout=seconds
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def until(what: Callable[[], Found], seconds: float = 120.0, why: str = "") -> Found:
    """Ask until the answer is true; fail with the last answer."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"{why or 'not'} within {seconds:.0f} s; at last: {found!r}"
        time.sleep(0.5)
    return found


def settle(what: Callable[[], object], quiet: float = 3.0, seconds: float = 60.0) -> None:
    """Wait until the answer has been the same for `quiet` seconds; fail if it never is."""
    end, since, last = time.monotonic() + seconds, time.monotonic(), what()
    while time.monotonic() - since < quiet:
        assert time.monotonic() < end, f"does not settle within {seconds:.0f} s; at last: {last!r}"
        time.sleep(0.2)
        if (now := what()) != last:
            since, last = time.monotonic(), now


@dataclass
class Release:
    """keelwatch in a namespace of its own."""

    namespace: str
    name: str = "keelwatch"
    values: dict[str, Any] = field(default_factory=dict)

    def helm(self, *arguments: str) -> str:
        """Run helm for this namespace."""
        return run("helm", *arguments, "-n", self.namespace)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl for this namespace."""
        return run("kubectl", "-n", self.namespace, *arguments, text=text)

    def install(self, **changes: Any) -> None:
        """Install or upgrade with the values so far and `changes`; wait until all is ready."""
        self.values = _merged(self.values, changes)
        values = Path(f"/tmp/{self.namespace}-values.yaml")
        values.write_text(yaml.safe_dump(self.values))
        chart = ["upgrade", "--install", self.name, str(CHART), "-f", str(values)]
        try:
            self.helm(*chart, "--create-namespace")
            for part in ("statefulset/{}-hub", "daemonset/{}-agent"):
                self.kubectl("rollout", "status", part.format(self.name), "--timeout=120s")
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{self.state()}") from error

    def state(self) -> str:
        """What the pods are at, and what they say: for the reader of a failure."""
        said = [self.kubectl("get", "pods,events", "-o", "wide")]
        for component in ("hub", "agent"):
            selector = f"app.kubernetes.io/component={component}"
            said.append(self.kubectl("logs", "-l", selector, "--tail=30", "--prefix"))
        return "\n".join(said)

    def uninstall(self) -> None:
        """Remove the release and wait until its pods have gone."""
        self.helm("uninstall", self.name, "--ignore-not-found", "--wait", "--timeout", "120s")
        until(lambda: not json.loads(self.kubectl("get", "pods", "-o", "json"))["items"], 120, "pods gone")

    def authority(self) -> str:
        """The hub's CA, as it is published."""
        found = json.loads(self.kubectl("get", "configmap", f"{self.name}-ca", "-o", "json"))
        return str(found.get("data", {}).get("ca.crt", ""))

    def token(self, role: str = "admin") -> str:
        """The log-in token, as NOTES.txt says how to get it."""
        command = [
            "exec",
            f"{self.name}-hub-0",
            "--",
            "keelwatch",
            "token",
            "--data",
            HUB_DATA,
            "--role",
            role,
        ]
        return self.kubectl(*command).strip()

    @contextmanager
    def hub(self) -> Iterator[Hub]:
        """The hub's API through a port-forward, which ends with the hub's pod."""
        port = _free_port()
        command = [
            "kubectl",
            "-n",
            self.namespace,
            "port-forward",
            f"service/{self.name}-hub",
            f"{port}:8470",
        ]
        environment = {**os.environ, "KUBECONFIG": KUBECONFIG, "PATH": PATH}
        forward = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert forward.stdout is not None
            first = forward.stdout.readline()
            assert b"Forwarding" in first, first
            yield Hub(f"https://localhost:{port}", self.token(), self.authority())
        finally:
            forward.terminate()
            forward.wait(10)


def fresh_release(*, claims: bool = False) -> Release:
    """A release with the image under test, in a namespace with a random name.

    `claims`: the hub's volume is claimed as it is by default, also where nothing makes volumes for claims
    but a folder can be given.
    """
    namespace = f"keelwatch-{secrets.token_hex(3)}"
    repository, _, tag = IMAGE.rpartition(":")
    storage = {"size": "2Gi"}
    if HUB_PATH:
        folder = Path(HUB_PATH) / namespace
        folder.mkdir(parents=True)
        os.chown(folder, 65532, 65532)
        if claims:
            _offer_volume(namespace, folder)
        else:
            storage = {"hostPath": str(folder)}
    values = {
        "cluster": "e2e",
        "image": {"repository": repository, "tag": tag},
        "hub": {"storage": storage},
        "agent": {"dataPath": f"/var/lib/{namespace}"},
    }
    return Release(namespace, values=values)


def _offer_volume(namespace: str, folder: Path) -> None:
    """A volume for the hub's claim; `drop_volume` takes it away."""
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": namespace, "name": "data-keelwatch-hub-0"},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": spec}
    run("kubectl", "create", "-f", "-", text=yaml.safe_dump(volume))


def drop_volume(namespace: str) -> None:
    """Delete the volume that was offered to a release, if there was one."""
    run("kubectl", "delete", "persistentvolume", namespace, "--ignore-not-found", "--wait=false")


class Hub:
    """Questions to the hub."""

    def __init__(self, url: str, token: str, authority: str) -> None:
        self.url = url
        self._token, self._authority = token, authority
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(ca_cert_data=authority, retries=False, timeout=60.0)

    def get(self, path: str, **parameters: Any) -> urllib3.BaseHTTPResponse:
        """Ask the API."""
        return self._pool.request("GET", self.url + path, fields=parameters, headers=self._headers)

    def rows(self, table: str, **parameters: Any) -> list[dict[str, Any]]:
        """Records of a table that match."""
        answer = self.get(f"/api/v1/{table}", **{"since": "2h", "tail": "100000", **parameters})
        assert answer.status == 200, answer.data[:500]
        found = [orjson.loads(line) for line in answer.data.splitlines() if line]
        assert len(found) < 100_000, "more than one answer holds: ask for less"
        return found

    def coverage(self, **parameters: Any) -> dict[str, Any]:
        """The report, with every container."""
        answer = self.get("/api/v1/coverage", **{"since": "2h", "limit": 1000, **parameters})
        assert answer.status == 200, answer.data[:500]
        found: dict[str, Any] = answer.json()
        return found

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run keelwatch's command line against this hub."""
        program = [sys.executable, "-m", "keelwatch.cli.main", *arguments]
        told = {"KEELWATCH_HUB": self.url, "KEELWATCH_TOKEN": self._token, "NO_COLOR": "1"}
        with tempfile.NamedTemporaryFile("w", suffix=".crt") as file:
            file.write(self._authority)
            file.flush()
            environment = {**os.environ, **told, "KEELWATCH_CA_FILE": file.name}
            return subprocess.run(program, capture_output=True, text=True, timeout=120, env=environment)


class Workloads:
    """A namespace with workloads whose log lines are numbered, so that their counts are known."""

    def __init__(self) -> None:
        self.namespace = f"shop-{secrets.token_hex(3)}"
        run("kubectl", "create", "namespace", self.namespace)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl for this namespace."""
        return run("kubectl", "-n", self.namespace, *arguments, text=text)

    def delete(self) -> None:
        """Delete the namespace and everything in it."""
        run("kubectl", "delete", "namespace", self.namespace, "--wait=true", seconds=180)

    def apply(self, kind: str, name: str, script: str, **spec: Any) -> None:
        """Create or change a Deployment, StatefulSet, CronJob, Job or Pod that runs a shell script.

        `container` and `pod` are added to those parts of the pod's specification, `labels` to its labels.
        """
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump(_object(kind, name, script, spec)))

    def pods(self, app: str) -> list[str]:
        """Names of the running pods of a workload."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == "Running"]

    def shell(self, pod: str, script: str) -> str:
        """Run a script in a pod, as `kubectl exec` does."""
        return self.kubectl("exec", pod, "--", "sh", "-c", script)


def numbers(rows: list[dict[str, Any]], prefix: str) -> dict[tuple[str, int], Counter[int]]:
    """(pod, restart) -> how often each line number of "PREFIX number" is there."""
    found: dict[tuple[str, int], Counter[int]] = {}
    for row in rows:
        words = row["message"].split()
        if len(words) > 1 and words[0] == prefix:
            found.setdefault((row["pod"], row["restart"]), Counter())[int(words[1])] += 1
    return found


def wrong(counted: Mapping[Any, Counter[int]], lines: int) -> dict[Any, str]:
    """Those of whom a line is missing or there twice, in words."""
    problems = {}
    for who, count in counted.items():
        absent = [number for number in range(1, lines + 1) if not count[number]]
        twice = [number for number, times in count.items() if times > 1]
        if absent or twice or max(count) > lines:
            problems[who] = f"missing {_brief(absent)}, twice {_brief(twice)}, last {max(count)}"
    return problems


def _brief(found: list[int]) -> str:
    return f"{len(found)} ({found[:3]} … {found[-1:]})" if found else "none"


def claims_of(token: str) -> dict[str, Any]:
    """What a ServiceAccount's token says of itself."""
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


def _object(kind: str, name: str, script: str, spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": WORKLOAD_IMAGE, "imagePullPolicy": "IfNotPresent"}
    container |= {"command": ["/bin/sh", "-c", script], **spec.pop("container", {})}
    restart = spec.pop("restart", "Never" if kind in ("Job", "CronJob", "Pod") else "Always")
    pod = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [container]}
    pod |= spec.pop("pod", {})
    template = {"metadata": {"labels": {"app": name, **spec.pop("labels", {})}}, "spec": pod}
    metadata: dict[str, Any] = {"name": name, "labels": {"app": name}}
    selector = {"matchLabels": {"app": name}}
    if kind == "Pod":
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, **template["metadata"]},
            "spec": pod,
        }
    if kind == "CronJob":
        job = {"spec": {"template": template, **spec.pop("job", {})}}
        return {
            "apiVersion": "batch/v1",
            "kind": kind,
            "metadata": metadata,
            "spec": {**spec, "jobTemplate": job},
        }
    if kind == "Job":
        return {
            "apiVersion": "batch/v1",
            "kind": kind,
            "metadata": metadata,
            "spec": {**spec, "template": template},
        }
    if kind == "StatefulSet":
        spec = {"serviceName": name, "podManagementPolicy": "Parallel", **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {**spec, "selector": selector, "template": template},
    }


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    found = dict(values)
    for name, value in changes.items():
        known = found.get(name)
        found[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
