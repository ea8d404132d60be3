"""A real attack on one of two instances: every step is an alert that says who, where and how."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lab import Kubelet, Pod, attack
from lab.attack import Outcome
from lab.images import compile_program
from lab.stack import Record, Stack
from tests.stack_support import SECONDS, eventually, random_deployment, read_in, settle, sha256, step_names

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

RULES = {
    "new-binary": "New program run in a container",
    "memfd": "Program run from memory in a container",
    "modified-file": "Program or library of the image overwritten",
    "account": "Account or privilege file changed",
    "namespace": "Breakout attempt refused",
    "unshare": "Breakout attempt refused",
}
KINDS = {"namespace": "setns", "unshare": "unshare"}


@dataclass
class Attacked:
    """The attack's outcome, and what is true of it by the container's own file system."""

    pod: Pod
    other: Pod
    outcomes: dict[str, Outcome]
    hashes: dict[str, str]
    alerts: list[Record] = field(default_factory=list)

    def alert(self, step: str, rule: str = "") -> Record:
        """The one alert of the step's rule about the step's file."""
        path, wanted = self.outcomes[step].step.path, rule or RULES[step]
        found = [a for a in self.alerts if a["rule"] == wanted and a["pod"] == self.pod.name]
        found = [a for a in found if a["kind"] == KINDS.get(step, a["kind"])]
        found = [a for a in found if not path or path in (a["path"], (a["story"] or {}).get("path"))]
        assert len(found) == 1, f"{step}: {len(found)} alerts {wanted!r} about {path!r}"
        return found[0]


@pytest.fixture(scope="module")
def attacked(stack: Stack, module_kubelet: Kubelet) -> Attacked:
    pod, other = module_kubelet.run_deployment(random_deployment(2))
    outcomes = {outcome.step.name: outcome for outcome in attack.run(pod)}
    paths = [outcomes[step].step.path for step in ("new-binary", "modified-file")]
    hashes = {path: sha256(read_in(pod, path)) for path in paths}
    settle(stack, module_kubelet)
    alerts = stack.records("alerts", namespace=pod.namespace)
    return Attacked(pod, other, outcomes, hashes, alerts)


@pytest.mark.parametrize("step", step_names())
def test_a_step_of_the_attack_is_an_alert_with_the_right_identity(
    stack: Stack, attacked: Attacked, step: str
) -> None:
    assert attacked.outcomes[step].ok, attacked.outcomes[step]
    alert, pod = attacked.alert(step), attacked.pod
    deployment, template_hash = pod.name.rsplit("-", 2)[:2]
    status = pod.kubelet.status(pod.container.id)
    expected = {
        "namespace": pod.namespace,
        "pod": pod.name,
        "pod_uid": pod.uid,
        "container": pod.container.name,
        "container_id": pod.container.id,
        "restart": 0,
        "image": pod.container.spec.image,
        "workload_kind": "Deployment",
        "workload": deployment,
        "revision": template_hash,
        "phase": "run",
        "source": "syscall",
        "count": 1,
    }
    assert {name: alert[name] for name in expected} == expected
    assert alert["image_digest"].startswith("sha256:")
    assert alert["image_digest"] in (status.image_ref, status.image_ref.partition("@")[2])
    assert alert["node"].startswith("node-")
    assert alert["cluster"].startswith("cluster-")
    assert "workload=inferred" in alert["identity_source"]


@pytest.mark.parametrize("step", step_names())
def test_the_ancestry_leads_from_the_process_over_the_shell_to_the_shim(
    attacked: Attacked, step: str
) -> None:
    alert = attacked.alert(step)
    script = attacked.outcomes[step].step.script
    chain = [alert["process"], *alert["ancestors"]]
    inside = [at for at in chain if at["container_id"] == attacked.pod.container.id]
    assert any(script in at["cmdline"] for at in inside), chain
    outside = [at for at in chain if not at["container_id"]]
    assert any(at["name"].startswith(("containerd-shim", "conmon", "crio")) for at in outside), chain
    assert not any(" create " in at["cmdline"] for at in chain), "that ended long before the exec"


def test_writer_chmoder_and_executor_are_three_processes(attacked: Attacked) -> None:
    alert = attacked.alert("new-binary")
    story, path = alert["story"], attacked.outcomes["new-binary"].step.path
    assert story["path"] == path
    assert story["content"] == alert["drift"] == "new"
    assert (story["writer"]["name"], story["writer"]["how"]) == ("cat", "inherited")
    assert (story["chmod"]["name"], story["chmod"]["path"]) == ("chmod", path)
    assert story["executor"]["exe"] == path
    assert len({story[part]["pid"] for part in ("writer", "chmod", "executor")}) == 3
    assert story["writer"]["time"] < story["chmod"]["time"] < story["executor"]["time"] == alert["time"]
    assert story["writer_ancestors"][0]["name"] == "sh"
    for word in ("cat", "chmod", path, "does not have this file"):
        assert word in story["sentence"]


def test_hashes_are_those_of_the_real_files(attacked: Attacked) -> None:
    program = attacked.alert("new-binary")
    script = attacked.alert("modified-file", "New script run in a container")
    assert program["sha256"] == attacked.hashes[program["path"]] == sha256(compile_program("toolbox"))
    assert script["sha256"] == attacked.hashes[script["story"]["path"]]
    assert script["drift"] == "changed"


def test_a_program_in_memory_has_the_hash_of_its_content_while_it_runs(stack: Stack, cri_pod: Pod) -> None:
    cri_pod.run("toolbox", "memfd", "/usr/local/bin/toolbox", "hidden", "sleep", "1")
    [alert] = eventually(lambda: stack.records("alerts", namespace=cri_pod.namespace))
    assert alert["sha256"] == sha256(compile_program("toolbox"))
    assert (alert["path"], alert["drift"], alert["memfd"]) == ("memfd:hidden", "new", 1)


def test_paths_say_where_they_come_from(attacked: Attacked) -> None:
    assert {attacked.alert(step)["path_source"] for step in RULES if step != "unshare"} == {"kernel"}


def test_the_other_instance_has_no_alert(attacked: Attacked) -> None:
    assert [alert["rule"] for alert in attacked.alerts if alert["pod"] == attacked.other.name] == []


def test_a_deleted_pod_is_as_queryable_as_a_running_one(stack: Stack, attacked: Attacked) -> None:
    """Runs last: the alert is there by its id, by workload and by pod, after the pod is gone."""
    alert, pod = attacked.alert("new-binary"), attacked.pod
    pod.delete()
    workload = f"deploy/{alert['workload']}"

    def ended() -> bool:
        rows = stack.records("lifecycle", namespace=pod.namespace, pod=pod.name)
        return any(row["kind"] == "container_ended" and row["container"] for row in rows)

    eventually(ended, "the container's end was not recorded", SECONDS)
    assert stack.get(f"/alerts/{alert['id']}").json() == alert
    found = stack.records("alerts", namespace=pod.namespace, workload=workload)
    assert alert["id"] in [row["id"] for row in found]
    lines = stack.records("logs", namespace=pod.namespace, workload=workload)
    assert {line["pod"] for line in lines} == {pod.name, attacked.other.name}
