"""`keelwatch manifests`: what the Helm chart installs, for people without Helm.

`manifests.yaml` beside this file is the chart, rendered with the names below where the options go
(`make manifests`). Tests hold what comes out here to what Helm makes of the same values.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import yaml

from keelwatch.cli.errors import USAGE, CliError
from keelwatch.cli.options import HelpfulCommand

RENDERED = Path(__file__).with_suffix(".yaml")
RELEASE = "keelwatch"
NAMESPACE, CLUSTER, IMAGE = "namespace-placeholder", "cluster-placeholder", "image-placeholder:tag"
MAX_RULES = 1 << 20
"""Bytes that a ConfigMap may hold."""
OLDEST, FIRST_WITH_APPARMOR = 24, 30
"""Minor versions of Kubernetes: the oldest that the chart is for, and the first whose containers have the
field appArmorProfile; those before refuse it."""
APPARMOR = "container.apparmor.security.beta.kubernetes.io/agent"

_EXAMPLES = """
keelwatch manifests --image registry.example/keelwatch:0.1.0 --cluster prod | kubectl apply -f -
keelwatch manifests --image … --kube-version 1.27 | kubectl apply -f -
keelwatch manifests --image … --cluster prod --rules rules/ --storage-size 200Gi > keelwatch.yaml
"""

Manifest = dict[str, Any]


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--image", metavar="IMAGE", required=True, help="The image, with its tag or digest.")
@click.option("--cluster", metavar="NAME", default="local", show_default=True, help="The cluster's name.")
@click.option("--namespace", metavar="NAME", default="keelwatch", show_default=True,
              help="Where to install; a manifest for it comes first.")  # fmt: skip
@click.option("--rules", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
              help="Rule files of your own (*.yaml).")  # fmt: skip
@click.option("--storage-size", metavar="QUANTITY", default="50Gi", show_default=True,
              help="Size of the hub's volume.")  # fmt: skip
@click.option(
    "--storage-class", metavar="NAME", default="", help="Its class; the cluster's default one if empty."
)
@click.option("--kube-version", metavar="VERSION", default="1.30", show_default=True,
              help="The cluster's Kubernetes, from 1.24 on; AppArmor depends on it.")  # fmt: skip
def command(
    image: str,
    cluster: str,
    namespace: str,
    rules: Path | None,
    storage_size: str,
    storage_class: str,
    kube_version: str,
) -> None:
    """Print the manifests that install hub and agents in a cluster.

    They are for Kubernetes 1.30 and later; for 1.24 to 1.29 give --kube-version.
    """
    found = rendered({NAMESPACE: namespace, CLUSTER: cluster, IMAGE: image})
    if _minor(kube_version) < FIRST_WITH_APPARMOR:
        _annotate_apparmor(found)
    _set_storage(found, storage_size, storage_class)
    if rules is not None:
        _set_rules(found, rules)
    text = yaml.safe_dump_all(
        [_namespace(namespace), *found], sort_keys=False, width=1000, allow_unicode=True
    )
    click.echo(text, nl=False)


def rendered(names: dict[str, str]) -> list[Manifest]:
    """The chart's objects, with each placeholder in any text replaced by its name."""
    objects = yaml.safe_load_all(RENDERED.read_text(encoding="utf-8"))
    return [_replaced(found, names) for found in objects if found]


def _replaced(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_replaced(key, names): _replaced(below, names) for key, below in value.items()}
    if isinstance(value, list):
        return [_replaced(below, names) for below in value]
    if isinstance(value, str):
        for placeholder, name in names.items():
            value = value.replace(placeholder, name)
    return value


def _namespace(name: str) -> Manifest:
    """The agents see the node's processes and folders, which the stricter pod security levels forbid."""
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _of(objects: list[Manifest], kind: str, name: str) -> Manifest:
    return next(found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name))


def _minor(version: str) -> int:
    """24 of "v1.24.3-eks-1"."""
    found = re.match(r"v?1\.(\d+)(?!\d)", version)
    if found is None or int(found[1]) < OLDEST:
        raise CliError(f"--kube-version {version}: give a version from 1.{OLDEST} on, as 1.29", USAGE)
    return int(found[1])


def _annotate_apparmor(objects: list[Manifest]) -> None:
    template = _of(objects, "DaemonSet", f"{RELEASE}-agent")["spec"]["template"]
    profile = template["spec"]["containers"][0]["securityContext"].pop("appArmorProfile")
    template["metadata"]["annotations"][APPARMOR] = profile["type"].lower()


def _set_storage(objects: list[Manifest], size: str, class_name: str) -> None:
    claim = _of(objects, "StatefulSet", f"{RELEASE}-hub")["spec"]["volumeClaimTemplates"][0]["spec"]
    claim["resources"]["requests"]["storage"] = size
    if class_name:
        claim["storageClassName"] = class_name


def _set_rules(objects: list[Manifest], folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    if not files:
        raise CliError(f"--rules {folder}: there are no *.yaml files in it", USAGE)
    if sum(path.stat().st_size for path in files) > MAX_RULES:
        raise CliError(f"--rules {folder}: more than a ConfigMap holds ({MAX_RULES >> 20} MiB)", USAGE)
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    _of(objects, "ConfigMap", f"{RELEASE}-rules")["data"] = texts
