"""The Helm chart: what it refuses, what it grants, and that `keelwatch manifests` prints the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from keelwatch.cli.commands import manifests

PROJECT = Path(__file__).parents[3]
CHART = PROJECT / "deploy/helm/keelwatch"
PATH = f"{os.environ['PATH']}:{os.environ.get('KUBE_BIN', '/opt/kubernetes/bin')}"
HELM = shutil.which("helm", path=PATH)

pytestmark = pytest.mark.skipif(HELM is None, reason="no helm: lab/cluster/build makes one")

Objects = list[dict[str, Any]]


def template(
    *values: str, namespace: str = "watch", name: str = "keelwatch", version: str = "1.34.0"
) -> subprocess.CompletedProcess[str]:
    sets = [part for value in values for part in ("--set", value)]
    command = [str(HELM), "template", name, str(CHART), "-n", namespace, "--kube-version", version, *sets]
    return subprocess.run([*command, "--skip-tests"], capture_output=True, text=True)


def objects(
    *values: str, namespace: str = "watch", name: str = "keelwatch", version: str = "1.34.0"
) -> Objects:
    done = template(*values, namespace=namespace, name=name, version=version)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of(found: Objects, kind: str, name: str = "") -> dict[str, Any]:
    [one] = [o for o in found if o["kind"] == kind and name in o["metadata"]["name"]]
    return one


def container(found: Objects, kind: str) -> dict[str, Any]:
    [one] = of(found, kind)["spec"]["template"]["spec"]["containers"]
    return one


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("agent.hots=true", "'hots' not allowed"),
        ("cluster=", "'/cluster'"),
        ("hub.storage.size=50", "want string"),
        ("hub.storage.size=much", "does not match"),
        ("image.digest=sha256:abc", "does not match"),
        ("agent.disabledEvents={opne}", "must be one of"),
        ("agent.spoolLimit=lots", "does not match"),
        ("agent.dataPath=relative", "does not match"),
        ("agent.securityContext.appArmorProfile.type=unconfined", "must be one of"),
        ("hub.podDisruptionBudget.maxUnavailable=2", "want 1"),
        ("rules.notes\\.txt=x", "notes.txt"),
        ("hub.team.label=a team", "does not match"),
        ("hub.team.map.Shop=payments", "Shop"),
        ("hub.team.map.shop=3", "want string"),
        ("networkPolicy.apiServer.ports={0}", "'/networkPolicy/apiServer/ports/0'"),
        ("networkPolicy.apiServer.cidrs={10.0.0.10}", "does not match"),
    ],
)
def test_values_that_are_refused(value: str, reason: str) -> None:
    done = template(value)
    assert done.returncode != 0
    assert reason in done.stderr


def test_the_hubs_data_are_in_one_place_only() -> None:
    assert template("hub.storage.emptyDir=true", "hub.storage.hostPath=/srv").returncode != 0
    assert template("hub.storage.existingClaim=data", "hub.storage.hostPath=/srv").returncode != 0


def test_every_value_is_described_by_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert list(_undescribed(values, schema, "")) == []


def _undescribed(values: dict[str, Any], schema: dict[str, Any], at: str) -> Any:
    for name in set(schema["properties"]) - values.keys() - {"global"}:
        yield f"{at}/{name} is in the schema only"
    for name, value in values.items():
        below = schema["properties"].get(name)
        if below is None:
            yield f"{at}/{name} is in the values only"
        elif isinstance(value, dict) and "properties" in below:
            yield from _undescribed(value, below, f"{at}/{name}")


def test_every_value_stands_in_a_template() -> None:
    texts = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    unused = [path for path in _leaves(values) if f".{path.rpartition('.')[2]}" not in texts]
    assert unused == []


def _leaves(values: dict[str, Any], at: str = "") -> Any:
    for name, value in values.items():
        if name in ("seccompProfile", "appArmorProfile", "seLinuxOptions", "resources") or "electo" in name:
            yield f"{at}{name}"
        elif isinstance(value, dict) and value and name != "updateStrategy":
            yield from _leaves(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def test_the_agent_has_four_capabilities_and_no_rights() -> None:
    found = objects()
    context = container(found, "DaemonSet")["securityContext"]
    assert context["capabilities"] == {
        "drop": ["ALL"],
        "add": ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"],
    }
    assert not context["privileged"]
    assert not context["allowPrivilegeEscalation"]
    assert context["readOnlyRootFilesystem"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    bound = [subject["name"] for o in found for subject in o.get("subjects", [])]
    assert set(bound) == {"keelwatch-hub"}


def test_the_agent_writes_to_its_own_folder_only() -> None:
    mounts = container(objects(), "DaemonSet")["volumeMounts"]
    writable = [mount["mountPath"] for mount in mounts if not mount.get("readOnly")]
    assert writable == ["/var/lib/keelwatch", "/tmp"]


def test_the_hub_is_nobody_and_reads_only() -> None:
    found = objects()
    assert of(found, "StatefulSet")["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 65532
    context = container(found, "StatefulSet")["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"]
    for rule in of(found, "ClusterRole")["rules"]:
        if rule.get("resources") == ["tokenreviews"]:
            assert rule["verbs"] == ["create"]
        else:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert "*" not in str(rule)
        assert "secrets" not in str(rule)
    [rule] = of(found, "Role")["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["keelwatch-ca"],
        "verbs": ["get", "patch"],
    }


def test_an_upgrade_leaves_the_authority_alone() -> None:
    """A ConfigMap without data in both versions of the chart keeps what the hub wrote into it."""
    assert "data" not in of(objects(), "ConfigMap", "keelwatch-ca")


def test_agents_have_tokens_of_their_own() -> None:
    found = objects(namespace="elsewhere", name="kw")
    [volume] = [
        v for v in of(found, "DaemonSet")["spec"]["template"]["spec"]["volumes"] if v["name"] == "hub"
    ]
    token, authority = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {
        "path": "token",
        "audience": "keelwatch",
        "expirationSeconds": 3600,
    }
    assert authority["configMap"]["optional"]
    arguments = container(found, "StatefulSet")["args"]
    assert "--agent-service-account=elsewhere/kw-keelwatch-agent" in arguments


def test_a_certificate_from_elsewhere() -> None:
    found = objects("hub.tls.secretName=hub-tls")
    arguments = container(found, "StatefulSet")["args"]
    assert "--tls-auto" not in arguments
    assert "--tls-cert=/etc/keelwatch/tls/tls.crt" in arguments
    assert not [o for o in found if o["kind"] == "Role"]


def test_older_kernels_lock_memory() -> None:
    capabilities = container(objects("agent.securityContext.lockedMemory=true"), "DaemonSet")[
        "securityContext"
    ]
    assert capabilities["capabilities"]["add"][-1] == "SYS_RESOURCE"


@pytest.mark.parametrize(
    ("version", "values", "field", "annotation"),
    [
        ("1.30.0", (), {"type": "Unconfined"}, None),
        ("v1.30.2-gke.1", (), {"type": "Unconfined"}, None),
        ("v1.29.9-gke.1", (), None, "unconfined"),
        ("1.24.0", (), None, "unconfined"),
        ("1.24.0", ("type=RuntimeDefault",), None, "runtime/default"),
        ("1.24.0", ("type=Localhost", "localhostProfile=kw"), None, "localhost/kw"),
        ("1.24.0", ("=null",), None, None),
        ("1.30.0", ("=null",), None, None),
    ],
)
def test_apparmor_is_a_field_from_1_30_on_and_an_annotation_before(
    version: str, values: tuple[str, ...], field: Any, annotation: str | None
) -> None:
    at = "agent.securityContext.appArmorProfile"
    sets = [at + value if value.startswith("=") else f"{at}.{value}" for value in values]
    found = objects(*sets, version=version)
    assert container(found, "DaemonSet")["securityContext"].get("appArmorProfile") == field
    annotations = of(found, "DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations.get("container.apparmor.security.beta.kubernetes.io/agent") == annotation


def test_the_operators_rules() -> None:
    found = objects("rules.shop\\.yaml=- list: shops")
    assert of(found, "ConfigMap", "rules")["data"] == {"shop.yaml": "- list: shops"}
    elsewhere = objects("existingRulesConfigMap=ours")
    assert not [o for o in elsewhere if o["kind"] == "ConfigMap" and "rules" in o["metadata"]["name"]]
    for kind in ("StatefulSet", "DaemonSet"):
        for name, all_of_it in (("keelwatch-rules", found), ("ours", elsewhere)):
            pod = of(all_of_it, kind)["spec"]["template"]["spec"]
            [volume] = [one for one in pod["volumes"] if one["name"] == "rules"]
            assert volume["configMap"] == {"name": name, "optional": True}
            [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "rules"]
            assert f"--rules={mount['mountPath']}" in pod["containers"][0]["args"]
            assert "--rules-fallback" in pod["containers"][0]["args"]


def test_teams_and_scope() -> None:
    plain = container(objects(), "StatefulSet")["args"]
    assert "--team-label=team" in plain
    assert not [one for one in plain if one.startswith(("--team-map", "--team-annotation", "--scope"))]
    found = objects(
        "hub.team.label=", "hub.team.annotation=example.org/owner", "hub.team.map.shop=payments",
        "hub.team.map.off=no", "hub.scopeSelector=pci in (cde\\,connected)\\,!legacy",
    )  # fmt: skip
    arguments = container(found, "StatefulSet")["args"]
    for one in ("--team-label=", "--team-annotation=example.org/owner",
                "--scope-selector=pci in (cde,connected),!legacy"):  # fmt: skip
        assert one in arguments
    text = of(found, "ConfigMap", "teams")["data"]["teams.yaml"]
    assert yaml.safe_load(text) == {"shop": "payments", "off": "no"}, "texts stay texts"
    pod = of(found, "StatefulSet")["spec"]["template"]["spec"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "teams"]
    assert volume["configMap"] == {"name": of(found, "ConfigMap", "teams")["metadata"]["name"]}
    [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "teams"]
    assert f"--team-map={mount['mountPath']}/teams.yaml" in arguments


def test_another_map_of_teams_restarts_the_hub() -> None:
    def mark(*values: str) -> Any:
        annotations = of(objects(*values), "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        return annotations.get("keelwatch/teams")

    marks = [mark(), mark("hub.team.map.shop=a"), mark("hub.team.map.shop=b"), mark("hub.team.map.shop=b")]
    assert marks[0] is None
    assert len(set(marks)) == 3
    assert marks[2] == marks[3]


def test_lint() -> None:
    done = subprocess.run([str(HELM), "lint", "--strict", str(CHART)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_rendered_manifests_are_current() -> None:
    made = subprocess.run(
        [PROJECT / "tools/render-manifests"], capture_output=True, text=True, check=True
    ).stdout
    assert made == manifests.RENDERED.read_text(), "run `make manifests`"


@pytest.mark.parametrize(
    ("options", "values", "version"),
    [
        ([], [], "1.34.0"),
        (["--storage-size", "7Gi", "--storage-class", "fast"],
         ["hub.storage.size=7Gi", "hub.storage.storageClassName=fast"], "1.34.0"),
        (["--kube-version", "v1.27.3-eks-1"], [], "1.27.3"),
        (["--kube-version", "1.24"], [], "1.24.0"),
    ],
)  # fmt: skip
def test_manifests_are_what_helm_makes(
    options: list[str], values: list[str], version: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text("- list: shops\n  items: [a, b]\n")
    (tmp_path / "notes.txt").write_text("no rules")
    given = [
        "--image",
        "r.example/kw:1.2",
        "--cluster",
        "prod",
        "--namespace",
        "watch",
        "--rules",
        str(tmp_path),
    ]
    done = CliRunner().invoke(manifests.command, [*given, *options])
    assert done.exit_code == 0, done.output
    namespace, *printed = yaml.safe_load_all(done.output)
    assert namespace["kind"] == "Namespace"
    image = ["image.repository=r.example/kw", "image.tag=1.2", "cluster=prod"]
    rules = "rules.shop\\.yaml=- list: shops\n  items: [a\\, b]\n"
    helms = objects(*image, *values, rules, version=version)
    assert [_unlabelled(found) for found in printed] == [_unlabelled(found) for found in helms]


def _unlabelled(value: Any) -> Any:
    """Without the two labels that say who installed it."""
    ours = ("helm.sh/chart", "app.kubernetes.io/managed-by")
    if isinstance(value, dict):
        return {key: _unlabelled(below) for key, below in value.items() if key not in ours}
    return [_unlabelled(below) for below in value] if isinstance(value, list) else value


def test_manifests_without_rules_in_the_folder(tmp_path: Path) -> None:
    done = CliRunner().invoke(manifests.command, ["--image", "x:1", "--rules", str(tmp_path)])
    assert done.exit_code == 2
    assert "no *.yaml files" in done.output


@pytest.mark.parametrize("version", ["1.23", "2.0", "latest", "1.2"])
def test_manifests_for_no_kubernetes_that_they_are_for(version: str) -> None:
    done = CliRunner().invoke(manifests.command, ["--image", "x:1", "--kube-version", version])
    assert done.exit_code == 2
    assert "1.24" in done.output
