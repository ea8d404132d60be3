"""Audit events in a chart's installation: docs/how-to/audit.md, as written, does what it says."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e_people import _webhook
from tests.e2e_support import Release
from tests.unit.deploy.test_deploy_chart import PROJECT, container, objects, of, pytestmark, template

__all__ = ["pytestmark"]
HOW_TO = PROJECT / "docs/how-to/audit.md"
LOG = "/var/log/kubernetes/audit/audit.log"
GIVEN = {"service": "10.96.0.7", "configmap": "-----BEGIN CERTIFICATE-----\nMII\n", "exec": "kw-secret"}


def step(language: str, containing: str) -> str:
    """The one block of the how-to that contains this."""
    blocks = re.findall(rf"```{language}\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    [found] = [block for block in blocks if containing in block]
    return str(found)


class Answering(Release):
    """What the cluster would answer to the end-to-end test."""

    def kubectl(self, *arguments: str, text: str = "") -> str:
        if arguments[:2] == ("get", "service"):
            return json.dumps({"spec": {"clusterIP": GIVEN["service"]}})
        if arguments[:2] == ("get", "configmap"):
            return json.dumps({"data": {"ca.crt": GIVEN["configmap"]}})
        return GIVEN["exec"] + "\n"


def test_the_webhook_is_made_as_the_end_to_end_test_makes_it(tmp_path: Path) -> None:
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    answers = "".join(f"*' {word} '*) printf %s '{text}' ;;\n" for word, text in GIVEN.items())
    kubectl.write_text(f'#!/bin/sh\ncase " $* " in\n{answers}esac\n')
    kubectl.chmod(0o755)
    script = step("sh", "<<END").replace("/etc/kubernetes", str(tmp_path / "etc"))
    path = f"{kubectl.parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-euc", script], check=True, env={**os.environ, "PATH": path})
    made = tmp_path / "etc/audit/webhook.yaml"
    assert yaml.safe_load(made.read_text()) == _webhook(Answering("keelwatch"))
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    authority = yaml.safe_load(made.read_text())["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(authority).decode() == GIVEN["configmap"]


def test_the_token_is_where_the_chart_lets_the_hub_make_it() -> None:
    arguments = container(objects(), "StatefulSet")["args"]
    [data] = re.findall(r"keelwatch token --data (\S+) --role audit", HOW_TO.read_text())
    assert f"--data={data}" in arguments
    assert f"--audit-token-file={data}/audit.token" in arguments


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to a group: root only")
def test_the_log_becomes_readable_for_the_hubs_group_alone(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    script = step("sh", "chgrp").replace("/var/log/kubernetes/audit", str(folder))
    folder.mkdir()
    rotated = folder / "audit-2026-01-02T03-04-05.678.log"
    rotated.touch(0o600)
    subprocess.run(["bash", "-euc", f"umask 077\n{script}"], check=True)
    for path, mode in ((folder, 0o2750), (folder / "audit.log", 0o640), (rotated, 0o640)):
        state = path.stat()
        assert (state.st_gid, stat.S_IMODE(state.st_mode)) == (65532, mode)


def test_the_hub_reads_the_log_of_its_node() -> None:
    hub = yaml.safe_load(step("yaml", "logPath"))["hub"]
    node, [toleration] = hub["nodeSelector"]["kubernetes.io/hostname"], hub["tolerations"]
    found = objects(
        f"hub.audit.logPath={hub['audit']['logPath']}",
        rf"hub.nodeSelector.kubernetes\.io/hostname={node}",
        *(f"hub.tolerations[0].{name}={value}" for name, value in toleration.items()),
    )
    pod = of(found, "StatefulSet")["spec"]["template"]["spec"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "audit-log"]
    assert volume["hostPath"] == {"path": str(Path(LOG).parent), "type": "Directory"}
    [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "audit-log"]
    assert mount == {"name": "audit-log", "mountPath": str(Path(LOG).parent), "readOnly": True}
    assert f"--audit-log={LOG}" in pod["containers"][0]["args"]
    assert pod["securityContext"]["supplementalGroups"] == [65532]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["nodeSelector"]["kubernetes.io/hostname"] == node
    assert pod["tolerations"] == [toleration]
    assert f"--audit-log-path={LOG}" in HOW_TO.read_text()


def test_another_group_may_read_it() -> None:
    pod = of(objects(f"hub.audit.logPath={LOG}", "hub.audit.logGroup=4"), "StatefulSet")["spec"]["template"]
    assert pod["spec"]["securityContext"]["supplementalGroups"] == [4]


def test_without_a_log_nothing_of_the_node_is_in_the_hub() -> None:
    pod = of(objects(), "StatefulSet")["spec"]["template"]["spec"]
    assert "supplementalGroups" not in pod["securityContext"]
    assert not [one for one in pod["volumes"] if "hostPath" in one]
    assert not [one for one in pod["containers"][0]["args"] if one.startswith("--audit-log")]


@pytest.mark.parametrize(
    "value",
    ["hub.audit.logPath=/audit.log", "hub.audit.logPath=audit/audit.log", "hub.audit.logPath=/var/log/",
     "hub.audit.logGroup=0", "hub.service.nodePort=30470"],
)  # fmt: skip
def test_what_cannot_be_is_refused(value: str) -> None:
    assert template(value).returncode != 0


def test_a_port_of_the_nodes_for_an_api_server_without_kube_proxy() -> None:
    found = of(objects("hub.service.type=NodePort", "hub.service.nodePort=30470"), "Service")
    [port] = found["spec"]["ports"]
    assert (found["spec"]["type"], port["nodePort"], port["targetPort"]) == ("NodePort", 30470, "https")
    assert "nodePort" not in of(objects(), "Service")["spec"]["ports"][0]
