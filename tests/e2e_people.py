"""What people do to a cluster in the tests, and what the API server tells keelwatch of it.

Only the lab's cluster can be told where to send its audit events, and only it has a second user.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e_support import KUBECONFIG, LAB, PATH, PROJECT, Release, Workloads, run

ALICE = LAB / "alice.kubeconfig"
ALICES_RIGHTS: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": [""],
        "resources": ["pods/exec", "pods/attach", "pods/ephemeralcontainers"],
        "verbs": ["get", "create", "patch"],
    },
]


def no_audit() -> str:
    """Why this cluster's API server cannot be told where to send audit events, or ""."""
    if Path(KUBECONFIG) != LAB / "admin.kubeconfig" or not ALICE.is_file():
        return "not the lab's cluster: its audit webhook is not ours to set"
    return ""


@contextmanager
def audited(release: Release) -> Iterator[None]:
    """The API server sends its audit events to the release's hub; it is started anew for that."""
    if no_audit():
        yield
        return
    settings = LAB / f"audit-{release.namespace}.kubeconfig"
    settings.write_text(yaml.safe_dump(_webhook(release)))
    settings.chmod(0o600)
    try:
        cluster_up(str(settings))
        yield
    finally:
        cluster_up("none")
        settings.unlink()


def _webhook(release: Release) -> dict[str, Any]:
    """As docs/how-to/audit.md has it; the API server is outside of the pods' network and their names."""
    service = json.loads(release.kubectl("get", "service", f"{release.name}-hub", "-o", "json"))
    cluster = {
        "server": f"https://{service['spec']['clusterIP']}:8470/v1/audit",
        "tls-server-name": f"{release.name}-hub.{release.namespace}.svc",
        "certificate-authority-data": base64.b64encode(release.authority().encode()).decode(),
    }
    return webhook(cluster, release.token("audit"))


def webhook(cluster: dict[str, Any], token: str) -> dict[str, Any]:
    """The kubeconfig of an audit webhook."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "keelwatch", "cluster": cluster}],
        "users": [{"name": "kube-apiserver", "user": {"token": token}}],
        "contexts": [{"name": "keelwatch", "context": {"cluster": "keelwatch", "user": "kube-apiserver"}}],
        "current-context": "keelwatch",
    }


def cluster_up(webhook: str, **more: str) -> None:
    """Start the lab's API server anew with this audit webhook ("none"); `more` as lab/cluster/up takes it."""
    environment = {**os.environ, "AUDIT_WEBHOOK": webhook, "PATH": PATH, "KUBECONFIG": KUBECONFIG, **more}
    up = [str(PROJECT / "lab/cluster/up")]
    done = subprocess.run(up, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def admit_alice(shop: Workloads) -> None:
    """Let alice enter the namespace's pods, and no more."""
    group: dict[str, Any] = {"apiGroup": "rbac.authorization.k8s.io"}
    about: dict[str, Any] = {"apiVersion": f"{group['apiGroup']}/v1", "metadata": {"name": "enter"}}
    role = about | {"kind": "Role", "rules": ALICES_RIGHTS}
    binding = about | {"kind": "RoleBinding", "roleRef": group | {"kind": "Role", "name": "enter"}}
    binding |= {"subjects": [group | {"kind": "User", "name": "alice"}]}
    shop.kubectl("apply", "-f", "-", text=yaml.safe_dump_all([role, binding]))


def as_alice(shop: Workloads, *words: str) -> str:
    """kubectl in the namespace, by alice."""
    return run("kubectl", "--kubeconfig", str(ALICE), "-n", shop.namespace, *words)


@contextmanager
def alice_types(shop: Workloads, *words: str, text: str) -> Iterator[None]:
    """kubectl by alice with `text` as its input, open until the block ends."""
    command = ["kubectl", "--kubeconfig", str(ALICE), "-n", shop.namespace, *words]
    environment = {**os.environ, "PATH": PATH}
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, env=environment
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{text}\n".encode())
        process.stdin.flush()
        try:
            yield
        finally:
            process.terminate()


@dataclass
class Ledger:
    """What was done that rules are there to tell of: everything else that they tell is a false alert.

    Without audit events no alert names a user.
    """

    with_users: bool = True
    acts: set[tuple[str, str, str]] = field(default_factory=set)

    def expect(self, pod: str, user: str, *rules: str) -> None:
        """`user` did in or to `pod` what each of `rules` tells of; "*" stands for any rule."""
        user = user if self.with_users else ""
        self.acts |= {(rule, pod, user) for rule in rules}

    def strange(self, alerts: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
        """Alerts that nobody's act explains: how many of a rule, namespace, pod, user and text."""
        said = ("source", "rule", "namespace", "pod", "user", "output")
        return Counter(tuple(str(one[name]) for name in said) for one in alerts if not self._told(one))

    def silent(self, alerts: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
        """Acts that no alert tells of."""
        told = {(one["rule"], one["pod"], one["user"]) for one in alerts}
        return {act for act in self.acts if "*" not in act} - told

    def _told(self, one: dict[str, Any]) -> bool:
        rule, pod, user = one["rule"], one["pod"], one["user"]
        return bool({(rule, pod, user), ("*", pod, user)} & self.acts)
