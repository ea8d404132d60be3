"""The owner of a container, inferred from what the controllers leave in names and labels."""

from __future__ import annotations

import pytest

from keelwatch.enrich.runtime import ContainerDetails, identity_of, workload_of

LONG = "a-very-long-deployment-name-that-the-api-server-has-to-cut-of"


@pytest.mark.parametrize(
    ("pod", "labels", "expected"),
    [
        (
            "checkout-7d9f8b6c5d-x2x9z",
            {"pod-template-hash": "7d9f8b6c5d"},
            ("Deployment", "checkout", "7d9f8b6c5d"),
        ),
        ("a-b-c-7d9-x2x9z", {"pod-template-hash": "7d9"}, ("Deployment", "a-b-c", "7d9")),
        (
            f"{LONG[:52]}-7d9f8x2x9z",
            {"pod-template-hash": "7d9f8b6c5d"},
            ("Deployment", LONG[:52], "7d9f8b6c5d"),
        ),
        ("web-6d4-x2x9z", {"rollouts-pod-template-hash": "6d4"}, ("Rollout", "web", "6d4")),
        (
            "db-0",
            {"controller-revision-hash": "db-5f7", "statefulset.kubernetes.io/pod-name": "db-0"},
            ("StatefulSet", "db", "db-5f7"),
        ),
        ("db-12", {"controller-revision-hash": "db-5f7"}, ("StatefulSet", "db", "db-5f7")),
        ("node-exporter-12345", {"controller-revision-hash": "5f7"}, ("DaemonSet", "node-exporter", "5f7")),
        ("report-x2x9z", {"job-name": "report"}, ("Job", "report", "")),
        (
            "bill-28012345-x2x9z",
            {"batch.kubernetes.io/job-name": "bill-28012345"},
            ("CronJob", "bill", "bill-28012345"),
        ),
        ("import-2024-x2x9z", {"job-name": "import-2024"}, ("Job", "import-2024", "")),
        ("lonely", {"app": "x"}, ("Pod", "lonely", "")),
    ],
)
def test_owner_of_a_pod(pod: str, labels: dict[str, str], expected: tuple[str, str, str]) -> None:
    details = ContainerDetails("c" * 64, pod=pod, name="main", labels=labels, complete=True)
    assert tuple(workload_of(details)) == expected


def test_a_pod_whose_labels_are_not_known_yet_has_no_owner_yet() -> None:
    assert workload_of(ContainerDetails("c" * 64, pod="web-1-x2x9z")).kind == ""


def test_compose_gives_namespace_and_workload() -> None:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    details = ContainerDetails("c" * 64, name="shop-web-1", labels=labels, complete=True)
    identity = identity_of(details, "one", "node-1")
    assert (identity.namespace, identity.workload_kind, identity.workload) == ("shop", "Container", "web")
    assert identity.container == "shop-web-1"


def test_every_filled_field_names_its_source() -> None:
    details = ContainerDetails(
        "c" * 64,
        name="main",
        namespace="ns",
        pod="web-7d9-x2x9z",
        pod_uid="uid",
        image="image:1",
        labels={"pod-template-hash": "7d9"},
        complete=True,
        sources={
            "name": "cri",
            "namespace": "runtime",
            "pod": "runtime",
            "pod_uid": "runtime",
            "image": "runtime",
        },
    )
    identity = identity_of(details, "one", "node-1")
    sources = dict(pair.split("=") for pair in identity.identity_source.split())
    filled = {name for name, value in identity.columns().items() if value and name != "identity_source"}
    assert set(sources) == filled
    assert sources["container"] == "cri"
    assert sources["workload"] == sources["workload_kind"] == sources["revision"] == "inferred"
