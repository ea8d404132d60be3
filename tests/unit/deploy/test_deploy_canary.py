"""The canary of the chart: off by default, without rights, and no reason for alerts."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from keelwatch.cli.main import main
from tests.unit.deploy.test_deploy_chart import container, objects, of, pytestmark

__all__ = ["pytestmark"]


def canaries(*values: str) -> list[dict[str, object]]:
    return [one for one in objects(*values) if one["metadata"]["name"].endswith("-canary")]


def test_it_is_off_by_default() -> None:
    assert canaries() == []
    assert "data" not in of(objects(), "ConfigMap", "rules")


def test_it_runs_where_agents_run_without_any_rights() -> None:
    found = canaries("canary.enabled=true")
    assert {one["kind"] for one in found} == {"DaemonSet", "NetworkPolicy"}
    agent = of(objects(), "DaemonSet", "agent")["spec"]["template"]["spec"]
    pod = of(found, "DaemonSet")["spec"]["template"]["spec"]
    for name in ("tolerations", "nodeSelector"):
        assert pod[name] == agent[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    one = container(found, "DaemonSet")
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    policy = of(found, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not policy.keys() & {"ingress", "egress"}


def test_its_exception_is_a_rule_file_that_loads_behind_the_operators(tmp_path: Path) -> None:
    found = objects("canary.enabled=true", "rules.my\\.yaml=- list: mine", namespace="watch")
    data = of(found, "ConfigMap", "rules")["data"]
    assert sorted(data) == ["my.yaml", "zz-keelwatch-canary.yaml"]
    (tmp_path / "canary.yaml").write_text(data["zz-keelwatch-canary.yaml"])
    done = CliRunner().invoke(main, ["rules", "check", "--with-default", str(tmp_path)])
    assert done.exit_code == 0, done.output
