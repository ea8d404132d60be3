"""The chart's NetworkPolicies: who may speak to whom, by which port."""

from __future__ import annotations

import subprocess
from typing import Any

import yaml

from tests.unit.deploy.test_deploy_chart import CHART, HELM, Objects, container, objects, of, pytestmark

__all__ = ["pytestmark"]
DNS = [("TCP", 53), ("TCP", 5353), ("UDP", 53), ("UDP", 5353)]


def policy(found: Objects, component: str) -> dict[str, Any]:
    spec: dict[str, Any] = of(found, "NetworkPolicy", f"-{component}")["spec"]
    return spec


def ports(rule: dict[str, Any]) -> list[tuple[str, int]]:
    return sorted((one["protocol"], one["port"]) for one in rule["ports"])


def addresses(peers: list[dict[str, Any]]) -> list[str]:
    return [peer["ipBlock"]["cidr"] for peer in peers if "ipBlock" in peer]


def selects(peer: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a peer's podSelector selects a pod with these labels."""
    selector = peer.get("podSelector", {"matchLabels": {"": ""}})
    wanted = {key: [value] for key, value in selector.get("matchLabels", {}).items()}
    wanted |= {one["key"]: one["values"] for one in selector.get("matchExpressions", [])}
    return all(labels.get(key) in values for key, values in wanted.items())


def labels_of(found: Objects, kind: str) -> dict[str, str]:
    labels: dict[str, str] = of(found, kind)["spec"]["template"]["metadata"]["labels"]
    return labels


def helms_test(*values: str) -> dict[str, Any]:
    """The pod of `helm test`."""
    sets = [part for value in values for part in ("--set", value)]
    command = [str(HELM), "template", "kw", str(CHART), "--show-only", "templates/tests/hub.yaml", *sets]
    done = subprocess.run(command, capture_output=True, check=True)
    pod: dict[str, Any] = yaml.safe_load(done.stdout)
    return pod


def test_everybody_reaches_the_hub_until_clients_are_named() -> None:
    [rule] = policy(objects(), "hub")["ingress"]
    assert rule == {"ports": [{"port": 8470, "protocol": "TCP"}]}


def test_named_clients_leave_out_nobody_that_the_hub_needs() -> None:
    found = objects(
        "networkPolicy.clients[0].ipBlock.cidr=10.9.0.0/16",
        "networkPolicy.scrapers[0].ipBlock.cidr=10.8.0.1/32",
        "networkPolicy.apiServer.cidrs={10.7.0.1/32}",
        name="kw",
    )
    [rule] = policy(found, "hub")["ingress"]
    assert addresses(rule["from"]) == ["10.7.0.1/32", "10.8.0.1/32", "10.9.0.0/16"]
    for labels in (labels_of(found, "DaemonSet"), helms_test()["metadata"]["labels"]):
        assert any(selects(peer, labels) for peer in rule["from"])
    assert not any(selects(peer, labels_of(found, "StatefulSet")) for peer in rule["from"])


def test_the_hub_reaches_dns_and_the_api_server_only() -> None:
    dns, api_server = policy(objects("networkPolicy.apiServer.cidrs={10.7.0.1/32,fd00::1/128}"), "hub")[
        "egress"
    ]
    assert ports(dns) == DNS
    assert "to" not in dns, "it may be on the nodes' own addresses"
    assert ports(api_server) == [("TCP", 443), ("TCP", 6443)]
    assert addresses(api_server["to"]) == ["10.7.0.1/32", "fd00::1/128"]


def test_without_its_address_the_api_server_may_be_anywhere() -> None:
    _, api_server = policy(objects("networkPolicy.apiServer.ports={8443}"), "hub")["egress"]
    assert api_server == {"ports": [{"port": 8443, "protocol": "TCP"}]}


def test_what_else_the_hub_may_reach() -> None:
    found = objects("networkPolicy.hubEgress[0].ports[0].port=8123")
    assert policy(found, "hub")["egress"][2:] == [{"ports": [{"port": 8123}]}]
    assert len(policy(found, "agent")["egress"]) == 2


def test_agents_reach_dns_and_the_hub_only() -> None:
    found = objects()
    dns, hub = policy(found, "agent")["egress"]
    assert dns == policy(found, "hub")["egress"][0]
    assert [selects(peer, labels_of(found, "StatefulSet")) for peer in hub["to"]] == [True]
    [listens] = container(found, "StatefulSet")["ports"]
    assert ports(hub) == [("TCP", listens["containerPort"])]


def test_dns_where_it_is_known_to_be() -> None:
    elsewhere = objects(
        r"networkPolicy.dns.to[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=openshift-dns",
        "networkPolicy.dns.ports={5353}",
    )
    for component in ("hub", "agent"):
        rule = policy(elsewhere, component)["egress"][0]
        assert ports(rule) == [("TCP", 5353), ("UDP", 5353)]
        [peer] = rule["to"]
        assert "openshift-dns" in str(peer)


def test_metrics_are_for_scrapers() -> None:
    found = objects("agent.metricsPort=9000", "networkPolicy.scrapers[0].ipBlock.cidr=10.8.0.1/32")
    [rule] = policy(found, "agent")["ingress"]
    assert ports(rule) == [("TCP", 9000)]
    assert addresses(rule["from"]) == ["10.8.0.1/32"]
    [open_to_all] = policy(objects(), "agent")["ingress"]
    assert open_to_all.keys() == {"ports"}


def test_no_policies() -> None:
    assert not [one for one in objects("networkPolicy.enabled=false") if one["kind"] == "NetworkPolicy"]
