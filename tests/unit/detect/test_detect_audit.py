"""Rules about requests to the API server: fields, lists, sources; against any JSON whatever."""

from pathlib import Path

import pytest
from detect_naive import holds
from hypothesis import given, settings
from hypothesis import strategies as st

from keelwatch.detect import RuleErrors, ast, load_rules, parse_rules
from keelwatch.detect.compile import compile_kind, generate
from keelwatch.detect.fields import FIELDS, Takes, Type
from keelwatch.detect.fields.audit import parameters, repository
from keelwatch.detect.operators import EACH
from keelwatch.detect.samples import make_audit_event
from keelwatch.model.audit import AuditEvent

AUDIT_FIELDS = [field for field in FIELDS.values() if "k8s_audit" in field.sources]
ONLY_AUDIT = [field for field in AUDIT_FIELDS if "syscall" not in field.sources]
UPSTREAM = Path(__file__).parents[2] / "golden" / "falco" / "k8s_audit_rules.yaml"
POD = {
    "spec": {
        "hostNetwork": True,
        "securityContext": {"runAsUser": 7, "supplementalGroups": [1, 2]},
        "containers": [
            {
                "image": "registry.example:5000/shop/app:1.4@sha256:aa",
                "securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}},
                "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}],
            },
            {"image": "side", "securityContext": {"runAsUser": 0}},
        ],
        "volumes": [{"name": "a", "hostPath": {"path": "/etc"}}, {"name": "b", "emptyDir": {}}],
    }
}
ROLE = {
    "rules": [{"verbs": ["get", "list"], "resources": ["pods"]}, {"verbs": ["*"], "resources": ["pods/exec"]}]
}
BINDING = {"subjects": [{"kind": "User", "name": "eve"}], "roleRef": {"name": "cluster-admin"}}


def request(**parts):
    return make_audit_event({"kind": "audit", **parts})


VALUES = [
    ("ka.user.name", None, "alice"),
    ("ka.user.groups", None, ("developers", "system:authenticated")),
    ("ka.verb", None, "create"),
    ("ka.response.code", None, "200"),
    ("ka.auth.decision", None, "allow"),
    ("ka.impuser.name", None, None),
    ("ka.sourceips", 0, ("192.0.2.7",)),
    ("ka.sourceips", 1, None),
    ("ka.uri.param", "command", "sh"),
    ("ka.uri.param", "absent", None),
    ("kw.audit.command", None, "sh -c id > /tmp/x"),
    ("kw.audit.kubelet", None, None),
    ("ka.req.pod.host_network", None, "true"),
    ("ka.req.pod.host_pid", None, None),
    ("ka.req.pod.containers.image", None, ("registry.example:5000/shop/app:1.4@sha256:aa", "side")),
    ("ka.req.pod.containers.image", 1, ("side",)),
    ("ka.req.pod.containers.image.repository", None, ("registry.example:5000/shop/app", "side")),
    ("ka.req.pod.containers.privileged", None, ("true",)),
    ("ka.req.pod.containers.privileged", 1, None),
    ("ka.req.pod.containers.host_port", None, ("8080", "81")),
    ("ka.req.pod.containers.eff_run_as_user", None, ("7", "0")),
    ("ka.req.pod.containers.eff_run_as_group", None, ("0", "0")),
    ("ka.req.pod.containers.add_capabilities", 0, ("SYS_ADMIN",)),
    ("ka.req.pod.supplemental_groups", None, ("1", "2")),
    ("ka.req.pod.volumes.hostpath", None, ("/etc",)),
    ("ka.req.pod.volumes.volume_type", None, ("hostPath", "emptyDir")),
    ("ka.req.volume.hostpath", "/e*", "true"),
    ("ka.req.volume.hostpath", "/proc", "false"),
    ("ka.req.container.image", None, "registry.example:5000/shop/app:1.4@sha256:aa"),
    ("ka.req.container.privileged", None, "true"),
    ("ka.req.pod.initContainers.privileged", None, None),
    ("jevt.value", "/requestObject/spec/containers/1/image", "side"),
    ("jevt.value", "/requestObject/spec/containers/7/image", None),
    ("jevt.value", "/annotations/authorization.k8s.io~1decision", "allow"),
    ("jevt.value", "/requestObject/spec/volumes/1", '{"name":"b","emptyDir":{}}'),
    ("json.value", "/verb", "create"),
    ("jevt.rawtime", None, 1_767_225_600_000_000_000),
    ("jevt.time", None, "00:00:00.000000000"),
    ("ka.cluster.name", None, "sample"),
]


@pytest.mark.parametrize(("name", "argument", "expected"), VALUES)
def test_values(name, argument, expected):
    uri = "/api/v1/namespaces/shop/pods/x/exec?command=sh&command=-c&command=id+%3E+%2Ftmp%2Fx&stdin=true"
    event = request(requestURI=uri, requestObject=POD)
    assert FIELDS[name].value(event, argument) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&a=2&b", {"a": "1", "b": ""}),
        ("a=%zz", {}),
        ("a=%zz&a=2", {"a": "2"}),
        ("a=1;b=2", {}),
        ("a=1#%zz", {}),
        ("a=x#y&b=%23+%26", {"a": "x#y", "b": "# &"}),
        ("%61=?", {"a": "?"}),
    ],
)
def test_parameters_are_what_the_api_server_takes_them_for(query, expected):
    """What only we would see could hide a request: `dryRun=%zz` changes the cluster."""
    event = request(requestURI=f"/api/v1/pods?{query}")
    assert {name: FIELDS["ka.uri.param"].value(event, name) for name in expected} == expected
    assert parameters(event).keys() == expected.keys()


def test_values_of_roles_and_bindings():
    role = request(requestObject=ROLE)
    assert FIELDS["ka.req.role.rules.verbs"].value(role) == ("get", "list", "*")
    assert FIELDS["ka.req.role.rules.verbs"].value(role, 1) == ("*",)
    assert FIELDS["ka.req.role.rules"].value(role)[1] == '{"verbs":["*"],"resources":["pods/exec"]}'
    binding = request(requestObject=BINDING)
    assert FIELDS["ka.req.binding.role"].value(binding) == "cluster-admin"
    assert FIELDS["ka.req.binding.subjects"].value(binding) == ('{"kind":"User","name":"eve"}',)


@pytest.mark.parametrize(
    ("path", "what", "command"),
    [
        ("exec/shop/x/app?command=sh&command=-c&command=id", "exec", "sh -c id"),
        ("run/shop/x/app?cmd=busybox+id&command=not", "run", "busybox id"),
        ("portForward/shop/x", "portForward", None),
        ("/%72un/shop/x/app?cmd=id", "run", "id"),
        ("metrics/cadvisor", "metrics", None),
        ("logs/../exec", "exec", None),
        ("", None, None),
    ],
)
def test_what_is_asked_of_a_kubelet(path, what, command):
    node = {"resource": "nodes", "subresource": "proxy", "name": "n1"}
    event = request(objectRef=node, requestURI=f"/api/v1/nodes/n1/proxy/{path}")
    assert FIELDS["kw.audit.kubelet"].value(event) == what
    assert FIELDS["kw.audit.command"].value(event) == command


@pytest.mark.parametrize(
    ("image", "name"),
    [("a", "a"), ("a:1", "a"), ("h:5000/a", "h:5000/a"), ("h:5000/a/b:1@sha256:0", "h:5000/a/b"), ("", "")],
)
def test_repositories(image, name):
    assert repository(image) == name


RULE = "- rule: r\n  desc: d\n  condition: {}\n  output: o\n  priority: WARNING\n  source: k8s_audit\n"


SYSCALL_RULE = RULE.replace("  source: k8s_audit\n", "")


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        ("ka.user.groups in (developers, system:authenticated, x)", True),
        ("ka.user.groups in (developers)", False),
        ("ka.user.groups intersects (developers)", True),
        ("ka.user.groups intersects (admins)", False),
        ("ka.user.groups exists", True),
        ("ka.req.role.rules.verbs exists", False),
        ("not ka.req.role.rules.verbs in (get)", True),
        ("ka.req.pod.host_network intersects (true)", True),
        ("ka.req.pod.containers.privileged[0] intersects (true)", True),
        ("ka.req.pod.containers.privileged[1] intersects (true)", False),
        ("ka.response.code startswith 2 and ka.verb in (create, patch)", True),
        ("ka.target.subresource exists", False),
        ("jevt.rawtime exists and not jevt.rawtime=0", True),
        ("evt.rawtime > 5", True),
    ],
)
def test_conditions(condition, fires):
    rules = parse_rules(RULE.format(condition))
    assert bool(rules.match(request(requestObject=POD))) is fires


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULE.format("ka.user.groups = admins"), "3:14: ka.user.groups is a list: '=' cannot test it"),
        (RULE.format("ka.user.groups contains adm"), "is a list"),
        (
            RULE.format("proc.name = sh"),
            "of the source syscall, but this is about k8s_audit",
        ),
        (
            RULE.format("ka.verb = get").replace("  source: k8s_audit\n", ""),
            "'ka.verb' is a field of the source k8s",
        ),
        (RULE.format("ka.verbs = get"), "did you mean 'ka.verb'?"),
        (RULE.format("ka.uri.param = get"), "needs an argument"),
        (
            RULE.format("ka.verb = get").replace("output: o", 'output: "%proc.name"'),
            "no field of the source k8s_audit",
        ),
        (
            "- macro: m\n  condition: ka.verbs = get and jevt.value[/a] = 1\n",
            "2:14: unknown field 'ka.verbs'",
        ),
    ],
)
def test_mistakes_have_a_place(text, message):
    with pytest.raises(RuleErrors) as caught:
        parse_rules(text)
    assert message in str(caught.value)


def test_a_macro_serves_rules_of_both_sources():
    both = "- macro: late\n  condition: evt.rawtime > 5\n" + RULE.format("late and ka.verb = create")
    both += SYSCALL_RULE.format("late").replace("rule: r", "rule: s")
    rules = parse_rules(both)
    assert [rule.name for rule in rules.match(request())] == ["r"]
    assert "audit" in rules.kinds
    assert "exec" in rules.kinds


def test_outputs_show_lists_as_falco_does():
    text = RULE.format("ka.verb = create").replace(
        "output: o", "output: in=%ka.user.groups no=%ka.impuser.name"
    )
    rule = parse_rules(text).rules[0]
    assert rule.output.format(request()) == "in=(developers,system:authenticated) no=<NA>"
    text = text.replace("%ka.user.groups", "%kw.audit.pod.images")
    pod = request(objectRef={"resource": "pods"}, requestObject=POD)
    assert "/app:1.4@sha256:aa,side) no=" in parse_rules(text).rules[0].output.format(pod)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS = [
    "requestObject",
    "user",
    "objectRef",
    "annotations",
    "sourceIPs",
    "requestURI",
    "verb",
    "responseStatus",
    "responseObject",
]
SPECS = st.dictionaries(
    st.sampled_from(["containers", "volumes", "securityContext", "hostPID", "ports"]),
    json_values
    | st.lists(st.dictionaries(st.sampled_from(["image", "ports", "securityContext"]), json_values)),
)
pointers = st.sampled_from(["", "/spec", "/spec/containers/0", "/subjects/-/name", "/rules/0/verbs", "/a~1"])
patches = st.lists(
    json_values
    | st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "test"]), "path": pointers | json_values, "value": json_values}
    ),
    max_size=3,
)
raws = (
    st.dictionaries(st.sampled_from(PARTS), json_values)
    | st.builds(
        lambda spec, rules: {"requestObject": {"spec": spec, "rules": rules, "subjects": rules}},
        SPECS,
        json_values,
    )
    | st.builds(
        lambda patch, left, verb: {"verb": verb, "requestObject": patch, "responseObject": left},
        patches,
        json_values,
        st.sampled_from(["patch", "create"]),
    )
).flatmap(
    lambda raw: (
        st.just(raw)
        | st.sampled_from(["pods", "cronjobs"]).map(lambda name: {**raw, "objectRef": {"resource": name}})
    )
)


def argument_of(field):
    return {Takes.NOTHING: None, Takes.INDEX: 1, Takes.KEY: "/user/0/x"}[field.takes]


@settings(max_examples=200, deadline=None)
@given(raws)
def test_any_json_is_read_without_a_fault(raw):
    event = AuditEvent(5, raw)
    for field in AUDIT_FIELDS:
        for argument in {argument_of(field), None if field.optional else argument_of(field)}:
            value = field.value(event, argument)
            expected = {Type.LIST: tuple, Type.STRINGS: tuple, Type.NUMBER: int}.get(field.type, str)
            assert value is None or type(value) is expected, field.name
            assert value != (), field.name


LISTS = [field for field in ONLY_AUDIT if field.type is Type.LIST]
tests = st.builds(
    lambda field, operator, values: ast.Test(field, None, operator, tuple(dict.fromkeys(values))),
    st.sampled_from(LISTS),
    st.sampled_from([EACH, "intersects", "exists"]),
    st.lists(st.sampled_from(["developers", "true", "0", "system:authenticated", "7", "side"]), max_size=3),
)
trees = st.recursive(
    tests, lambda inner: inner.map(ast.Not) | st.lists(inner, min_size=2).map(ast.both), max_leaves=5
)


@settings(max_examples=200, deadline=None)
@given(st.lists(trees, min_size=1, max_size=4), raws)
def test_generated_code_means_what_the_tree_says(conditions, raw):
    for event in (AuditEvent(5, raw), request(requestObject=POD), request(requestObject=ROLE)):
        match = compile_kind(conditions, range(len(conditions)), "audit")
        expected = [number for number, condition in enumerate(conditions) if holds(condition, event)]
        assert sorted(match(event)) == expected, generate(conditions, "audit")[0]


FIRES = {
    "Attach/Exec Pod": {
        "stage": "ResponseStarted",
        "verb": "get",
        "objectRef": {"resource": "pods", "subresource": "exec", "name": "x", "namespace": "shop"},
    },
    "port-forward": {"objectRef": {"resource": "pods", "subresource": "portforward"}},
    "Create Privileged Pod": {"objectRef": {"resource": "pods"}, "requestObject": POD},
    "Create Sensitive Mount Pod": {"objectRef": {"resource": "pods"}, "requestObject": POD},
    "Create HostNetwork Pod": {"objectRef": {"resource": "pods"}, "requestObject": POD},
    "ClusterRole With Wildcard Created": {"objectRef": {"resource": "roles"}, "requestObject": ROLE},
    "ClusterRole With Pod Exec Created": {"objectRef": {"resource": "clusterroles"}, "requestObject": ROLE},
    "Attach to cluster-admin Role": {
        "objectRef": {"resource": "clusterrolebindings"},
        "requestObject": BINDING,
    },
    "Create/Modify Configmap With Private Credentials": {
        "objectRef": {"resource": "configmaps"},
        "requestObject": {"data": {"app.ini": "password=hunter2"}},
    },
    "Anonymous Request Allowed": {"user": {"username": "system:anonymous"}},
    "K8s Secret Get Unsuccessfully Tried": {
        "verb": "get",
        "objectRef": {"resource": "secrets"},
        "responseStatus": {"code": 403},
    },
}


@pytest.mark.parametrize("name", FIRES)
def test_upstream_rules_fire(name):
    rules = load_rules([UPSTREAM])
    assert name in {rule.name for rule in rules.match(request(**FIRES[name]))}
    assert name not in {rule.name for rule in rules.match(request(user={"username": "bob"}, verb="watch"))}
