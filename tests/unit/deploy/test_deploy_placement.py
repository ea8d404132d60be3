"""On which nodes the chart puts its pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deploy.test_deploy_chart import objects, of, pytestmark
from tests.unit.deploy.test_deploy_network import helms_test

__all__ = ["pytestmark"]
OURS = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
PLACES = [
    ("agent", "DaemonSet", "-agent"),
    ("hub", "StatefulSet", "-hub"),
    ("agent", "DaemonSet", "-canary"),
]


def pod(kind: str, name: str, *values: str) -> dict[str, Any]:
    found: dict[str, Any] = of(objects("canary.enabled=true", *values), kind, name)
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(("part", "kind", "name"), PLACES)
def test_pods_run_on_x86_64_only_wherever_else_they_are_put(part: str, kind: str, name: str) -> None:
    assert pod(kind, name)["nodeSelector"] == OURS
    added = pod(kind, name, f"{part}.nodeSelector.pool=watched")
    assert added["nodeSelector"] == {**OURS, "pool": "watched"}
    fewer = pod(kind, name, rf"{part}.nodeSelector.kubernetes\.io/arch=null")
    assert fewer["nodeSelector"] == {"kubernetes.io/os": "linux"}


@pytest.mark.parametrize(("part", "kind", "name"), PLACES)
def test_tolerations_and_affinity(part: str, kind: str, name: str) -> None:
    given = (f"{part}.tolerations[0].key=dedicated", f"{part}.tolerations[0].operator=Exists",
             f"{part}.affinity.nodeAffinity.x=y")  # fmt: skip
    found = pod(kind, name, *given)
    assert found["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert found["affinity"] == {"nodeAffinity": {"x": "y"}}
    assert not pod(kind, name, f"{part}.tolerations=null").get("tolerations")


def test_agents_tolerate_everything_and_the_hub_nothing() -> None:
    assert pod("DaemonSet", "-agent")["tolerations"] == [{"operator": "Exists"}]
    assert "tolerations" not in pod("StatefulSet", "-hub")


def test_helms_test_runs_where_the_hub_may() -> None:
    given = ("hub.nodeSelector.zone=a", "hub.tolerations[0].key=dedicated")
    found = helms_test(*given)["spec"]
    hub = pod("StatefulSet", "-hub", *given)
    for name in ("nodeSelector", "tolerations"):
        assert found[name] == hub[name]


def restricted(spec: dict[str, Any]) -> bool:
    """Whether Pod Security's level "restricted" takes a pod."""
    pod, [one] = spec["securityContext"], spec["containers"]
    container = one["securityContext"]
    return (
        not any(spec.get(name) for name in ("hostPID", "hostIPC", "hostNetwork"))
        and not any("hostPath" in volume for volume in spec["volumes"])
        and pod["runAsNonRoot"] is True
        and pod["runAsUser"] > 0
        and pod["seccompProfile"] == {"type": "RuntimeDefault"}
        and container["capabilities"] == {"drop": ["ALL"]}
        and container["allowPrivilegeEscalation"] is False
        and not any("hostPort" in port for port in one.get("ports", []))
    )


def test_only_agents_need_a_privileged_namespace() -> None:
    """And a hub that is given a folder of its node, as docs/how-to/install.md says."""
    assert restricted(pod("StatefulSet", "-hub"))
    assert restricted(pod("DaemonSet", "-canary"))
    assert restricted(helms_test()["spec"])
    assert not restricted(pod("StatefulSet", "-hub", "hub.audit.logPath=/var/log/kubernetes/audit/audit.log"))
