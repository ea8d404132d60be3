"""Which pods and rights a request leaves: by its answer, else by itself, whatever form it has."""

import pytest
from test_detect_audit import BINDING, POD, ROLE, request

from keelwatch.detect.fields import FIELDS

SUBJECTS = [
    {"kind": "User", "name": "eve"},
    {"kind": "ServiceAccount", "namespace": "shop", "name": "deployer"},
    {"name": "half"},
    {"kind": "Group"},
    "none",
]
TEMPLATE = "/spec/template/spec"
CONTAINER = f"{TEMPLATE}/containers/+1"
PODS = {"spec": {"template": POD}}
EMPTY = {"spec": {"template": {"spec": {}}}}


@pytest.mark.parametrize(
    ("resource", "parts", "expected"),
    [
        (
            "pods",
            {"requestObject": POD},
            {
                "pod.images": ("registry.example:5000/shop/app:1.4@sha256:aa", "side"),
                "pod.privileged": ("true",),
                "pod.capabilities": ("SYS_ADMIN",),
                "pod.host": ("network",),
                "pod.hostpaths": ("/etc",),
            },
        ),
        ("services", {"requestObject": POD}, {"pod.images": None, "pod.host": None}),
        (
            "deployments",
            {"requestObject": PODS, "responseObject": {"kind": "Status"}},
            {"pod.host": ("network",), "pod.hostpaths": ("/etc",)},
        ),
        (  # what was sent is not what is there
            "deployments",
            {"requestObject": PODS, "responseObject": EMPTY},
            {"pod.host": None, "pod.hostpaths": None},
        ),
        (
            "deployments",
            {"verb": "patch", "requestObject": {"spec": {"$patch": "replace"}}, "responseObject": PODS},
            {"pod.host": ("network",)},
        ),
        (
            "jobs",
            {"verb": "patch", "requestObject": {"spec": {"suspend": False}}, "responseObject": PODS},
            {"pod.host": None},
        ),
        (
            "statefulsets",
            {
                "verb": "patch",
                "requestObject": [
                    {"op": "add", "path": f"{CONTAINER}/securityContext/privileged", "value": True},
                    {"op": "test", "path": f"{TEMPLATE}/hostIPC", "value": True},
                    {"op": "replace", "path": f"{TEMPLATE}/containers/0", "value": {"image": "a"}},
                    {"op": "add", "path": "/metadata/annotations/a~1b", "value": "c"},
                    {"op": "add", "path": "/a" * 5000, "value": 1},
                    {"op": "add", "path": 7},
                    "none",
                ],
            },
            {"pod.privileged": ("true",), "pod.images": ("a",), "pod.host": None},
        ),
        (
            "rolebindings",
            {"requestObject": BINDING | {"subjects": SUBJECTS}},
            {
                "binding.role": "cluster-admin",
                "binding.subjects": ("eve", "system:serviceaccount:shop:deployer", "half"),
            },
        ),
        (
            "rolebindings",
            {"verb": "patch", "requestObject": {"metadata": {}}, "responseObject": BINDING},
            {"binding.role": None, "binding.subjects": None},
        ),
        (
            "roles",
            {"verb": "patch", "requestObject": {"rules": None}, "responseObject": ROLE},
            {"role.verbs": ("get", "list", "*"), "role.resources": ("pods", "pods/exec")},
        ),
    ],
)  # fmt: skip
def test_what_a_request_leaves(resource, parts, expected):
    event = request(objectRef={"resource": resource}, **parts)
    assert {name: FIELDS[f"kw.audit.{name}"].value(event) for name in expected} == expected
