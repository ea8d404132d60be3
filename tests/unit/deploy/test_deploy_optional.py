"""Parts of the chart that are only there, or otherwise, when values ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deploy.test_deploy_chart import Objects, container, objects, of, pytestmark, template

__all__ = ["pytestmark"]


def pod(found: Objects, kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = of(found, kind)["spec"]["template"]["spec"]
    return spec


def volume(found: Objects, kind: str, name: str) -> Any:
    [one] = [one for one in pod(found, kind)["volumes"] if one["name"] == name]
    return one


def mounts(found: Objects, kind: str) -> dict[str, str]:
    return {one["name"]: one["mountPath"] for one in container(found, kind)["volumeMounts"]}


def test_prometheus_finds_hub_and_agents() -> None:
    assert not [one for one in objects() if one["kind"].endswith("Monitor")]
    found = objects(
        "serviceMonitor.enabled=true",
        "serviceMonitor.interval=1m",
        "serviceMonitor.labels.release=prometheus",
    )
    hub, agents = of(found, "ServiceMonitor"), of(found, "PodMonitor")
    service, daemons = of(found, "Service"), of(found, "DaemonSet")["spec"]["template"]["metadata"]
    assert hub["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert agents["spec"]["selector"]["matchLabels"].items() <= daemons["labels"].items()
    [endpoint], [pods] = hub["spec"]["endpoints"], agents["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert pods["port"] in [port["name"] for port in container(found, "DaemonSet")["ports"]]
    assert f"--tls-name={endpoint['tlsConfig']['serverName']}" in container(found, "StatefulSet")["args"]
    assert endpoint["tlsConfig"]["ca"] == {"configMap": {"name": "keelwatch-ca", "key": "ca.crt"}}
    for monitor, asked in ((hub, endpoint), (agents, pods)):
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert asked["interval"] == "1m"


def test_prometheus_trusts_a_certificate_from_elsewhere() -> None:
    found = objects("serviceMonitor.enabled=true", "hub.tls.secretName=hub-tls")
    [endpoint] = of(found, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"]["ca"] == {"secret": {"name": "hub-tls", "key": "ca.crt"}}


@pytest.mark.parametrize(("value", "left"), [((), 1), (("hub.podDisruptionBudget.maxUnavailable=0",), 0)])
def test_a_budget_for_the_hubs_disruption(value: tuple[str, ...], left: int) -> None:
    found = objects(*value)
    spec = of(found, "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == left
    labels = of(found, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    agents = of(found, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert not spec["selector"]["matchLabels"].items() <= agents.items()


def test_no_budget() -> None:
    found = objects("hub.podDisruptionBudget.enabled=false")
    assert not [one for one in found if one["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize(
    ("values", "made", "named"),
    [
        ((), "watch-keelwatch", "watch-keelwatch"),
        (("priorityClass.name=high",), "high", "high"),
        (("priorityClass.create=false", "priorityClass.name=theirs"), None, "theirs"),
        (("priorityClass.create=false",), None, None),
    ],
)
def test_a_priority_class_that_pods_name_exists(
    values: tuple[str, ...], made: str | None, named: str | None
) -> None:
    found = objects(*values)
    classes = [one["metadata"]["name"] for one in found if one["kind"] == "PriorityClass"]
    assert classes == ([made] if made else [])
    for kind in ("DaemonSet", "StatefulSet"):
        assert pod(found, kind).get("priorityClassName") == named


def test_a_certificate_from_elsewhere_is_the_hubs_and_its_authority_the_agents() -> None:
    found = objects("hub.tls.secretName=hub-tls")
    arguments = container(found, "StatefulSet")["args"]
    assert not [one for one in arguments if one.startswith(("--tls-auto", "--tls-name", "--publish-ca"))]
    at = mounts(found, "StatefulSet")["tls"]
    assert {f"--tls-cert={at}/tls.crt", f"--tls-key={at}/tls.key"} <= set(arguments)
    secret = volume(found, "StatefulSet", "tls")["secret"]
    assert secret == {"secretName": "hub-tls", "defaultMode": 0o440}
    [_, authority] = volume(found, "DaemonSet", "hub")["projected"]["sources"]
    # Never the key.
    assert authority == {"secret": {"name": "hub-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    assert not [one for one in found if one["metadata"]["name"] == "keelwatch-ca"]


def test_agents_with_one_token_from_a_secret() -> None:
    found = objects("agent.tokenSecretName=agents")
    arguments = container(found, "StatefulSet")["args"]
    assert not [one for one in arguments if one.startswith("--agent-service-account")]
    assert f"--agent-token-file={mounts(found, 'StatefulSet')['agent-token']}/token" in arguments
    secret = volume(found, "StatefulSet", "agent-token")["secret"]
    assert secret == {"secretName": "agents", "defaultMode": 0o440}
    [token, _] = volume(found, "DaemonSet", "hub")["projected"]["sources"]
    assert token == {"secret": {"name": "agents", "items": [{"key": "token", "path": "token"}]}}
    assert f"--token-file={mounts(found, 'DaemonSet')['hub']}/token" in container(found, "DaemonSet")["args"]


def test_a_hub_that_reviews_no_tokens_may_not() -> None:
    def may_review(*values: str) -> bool:
        return "tokenreviews" in str(of(objects(*values), "ClusterRole")["rules"])

    assert may_review()
    assert not may_review("agent.tokenSecretName=agents")


@pytest.mark.parametrize(
    "values",
    [
        ("existingRulesConfigMap=ours", "rules.shop\\.yaml=- list: shops"),
        ("hub.tls.secretName=hub-tls", "hub.tls.extraNames={hub.example}"),
    ],
)
def test_values_of_which_one_would_be_ignored(values: tuple[str, ...]) -> None:
    assert template(*values).returncode != 0
    for value in values:
        assert template(value).returncode == 0


def test_names_of_the_hub_in_its_certificate() -> None:
    arguments = container(objects("hub.tls.extraNames={hub.example,10.0.0.1}"), "StatefulSet")["args"]
    assert {"--tls-name=hub.example", "--tls-name=10.0.0.1"} <= set(arguments)
