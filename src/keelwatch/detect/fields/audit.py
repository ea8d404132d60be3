"""`ka.*` and `jevt.*`: requests to the API server. Names and meanings are those of Falco's k8saudit plugin.

A field of type *list* has all the values at once: `in` asks whether each of them is in the list,
`intersects` whether one is. `ka.req.*` reads the request as it was sent, before the API server filled
in what was left out; a policy at level Metadata leaves out the request itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

import orjson

from keelwatch.detect.fields.base import Field, FieldValue, Takes, Type
from keelwatch.detect.fields.event import time_of_day
from keelwatch.model import kubelet
from keelwatch.model.audit import AuditEvent

SOURCE = frozenset({"k8s_audit"})
MAX_PARAMETERS = 1000
_MALFORMED = re.compile(r";|%(?![0-9A-Fa-f]{2})")
CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")

_Path: TypeAlias = tuple[str, ...]
_Values: TypeAlias = Callable[[AuditEvent, Any], Iterable[Any]]


def shown(value: Any) -> str | None:
    """A JSON value as rules see it: text as it is, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):  # deeper than the encoder goes, or a number out of its range
        return None


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Values as rules see them, without those that are none."""
    found = (shown(value) for value in values)
    return tuple(text for text in found if text is not None)


def dig(value: Any, path: _Path) -> Any:
    """What stands at a path of keys; None where nothing does."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _list(event: AuditEvent, path: _Path, index: int | None = None) -> list[Any]:
    """The list at a path, or the one item of it that is asked for."""
    found = event.get(*path)
    items = found if isinstance(found, list) else []
    return items if index is None else items[index : index + 1]


def _field(name: str, doc: str, *path: str) -> Field:
    """A field that is one value of the event."""

    def read(event: AuditEvent, _argument: object) -> FieldValue:
        return shown(event.get(*path))

    return Field(name, Type.STRING, doc, read=read, sources=SOURCE)


def _list_field(name: str, doc: str, values: _Values, takes: Takes = Takes.INDEX) -> Field:
    """A field that is a list; the index chooses the container, volume, rule or port."""

    def read(event: AuditEvent, argument: Any) -> FieldValue:
        return texts(values(event, argument))

    return Field(
        name, Type.LIST, doc, read=read, takes=takes, optional=takes is not Takes.NOTHING, sources=SOURCE
    )


def _whole(*path: str) -> _Values:
    return lambda event, index: _list(event, path, index)


def _each(where: _Path, path: _Path) -> _Values:
    """For each item of a list what stands at a path in it, where it does."""
    return lambda event, index: (dig(item, path) for item in _list(event, where, index))


def _flat(where: _Path, path: _Path) -> _Values:
    """As `_each`, of items that hold lists: all their values."""

    def values(event: AuditEvent, index: int | None) -> Iterable[Any]:
        for item in _list(event, where, index):
            inner = dig(item, path)
            yield from inner if isinstance(inner, list) else ()

    return values


def repository(image: str) -> str:
    """An image's name without tag and digest (`registry:5000/shop/app:1.4` → `registry:5000/shop/app`)."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _repositories(where: _Path) -> _Values:
    images = _each(where, ("image",))
    return lambda event, index: (repository(i) for i in images(event, index) if isinstance(i, str))


def _host_ports(where: _Path) -> _Values:
    """With the host's network the container's port is the host's."""
    ports = _flat(where, ("ports",))
    return lambda event, index: (
        dig(port, ("hostPort",)) or dig(port, ("containerPort",)) for port in ports(event, index)
    )


def _effective(where: _Path, key: str) -> _Values:
    """What the container says, else the pod, else 0."""

    def values(event: AuditEvent, index: int | None) -> Iterable[Any]:
        pod = event.get("requestObject", "spec", "securityContext", key)
        for item in _list(event, where, index):
            own = dig(item, ("securityContext", key))
            yield own if own is not None else pod if pod is not None else 0

    return values


def _volume_types(event: AuditEvent, index: int | None) -> Iterable[str]:
    for volume in _list(event, ("requestObject", "spec", "volumes"), index):
        if isinstance(volume, dict):
            yield from (key for key in volume if key != "name")


def parameters(event: AuditEvent) -> dict[str, list[str]]:
    """The query parameters of the request, as the API server (Go's net/url) takes them.

    It leaves out what is malformed: `?dryRun=%zz` is no dry run. A `#` begins nothing there.
    """
    pairs = event.text("requestURI").partition("?")[2].split("&")
    found: dict[str, list[str]] = {}
    for pair in pairs if len(pairs) <= MAX_PARAMETERS else ():
        name, _, value = pair.partition("=")
        if pair and not _MALFORMED.search(pair):
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def _parameter(event: AuditEvent, name: str) -> FieldValue:
    return next(iter(parameters(event).get(name, [])), None)


def kubelet_path(event: AuditEvent) -> list[str]:
    """What a request by way of `nodes/proxy` asks of the kubelet, in parts; none for others."""
    if (event.target.get("resource"), event.target.get("subresource")) != ("nodes", "proxy"):
        return []
    return kubelet.path_of(event.text("requestURI"))


def _kubelet(event: AuditEvent, _argument: object) -> FieldValue:
    return next(iter(kubelet_path(event)), None) or None


def command(event: AuditEvent) -> str:
    """The whole command of an exec request ("" for others): its arguments stand one by one in the URI.

    The kubelet's own `run` takes it as one text.
    """
    found = parameters(event)
    if kubelet_path(event)[:1] == ["run"]:
        return next(iter(found.get("cmd", [])), "")
    return " ".join(found.get("command", []))


def _command(event: AuditEvent, _argument: object) -> FieldValue:
    return command(event) or None


def _pointer(event: AuditEvent, argument: str) -> FieldValue:
    """What a JSON pointer (RFC 6901) points at."""
    found: Any = event.raw
    for part in argument.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdecimal():
            found = found[int(key)] if len(key) < 6 and int(key) < len(found) else None
        else:
            found = dig(found, (key,))
    return shown(found)


def _first(values: _Values) -> Callable[[AuditEvent, Any], FieldValue]:
    return lambda event, _argument: next(iter(texts(values(event, 0))), None)


def _any_privileged(event: AuditEvent, _argument: object) -> FieldValue:
    containers = _list(event, ("requestObject", "spec", "containers"))
    flags = [dig(one, ("securityContext", "privileged")) is True for one in containers]
    return shown(any(flags)) if flags else None


def _mounts(event: AuditEvent, wanted: str) -> FieldValue:
    """Whether a volume is this path of the host; `/etc*` asks for a prefix."""
    volumes = _list(event, ("requestObject", "spec", "volumes"))
    if not volumes:
        return None
    paths = texts(dig(volume, ("hostPath", "path")) for volume in volumes)
    if wanted.endswith("*"):
        return shown(any(path.startswith(wanted[:-1]) for path in paths))
    return shown(wanted in paths)


def _of_containers(kind: str) -> tuple[Field, ...]:
    """The fields of one list of containers."""
    where = ("requestObject", "spec", kind)
    head, of = f"ka.req.pod.{kind}", "of the pod's " + {
        "containers": "containers", "initContainers": "init containers",
        "ephemeralContainers": "ephemeral containers",
    }[kind]  # fmt: skip
    security = "securityContext"
    made = {
        "image": ("The images", _each(where, ("image",))),
        "image.repository": ("The images without tag and digest", _repositories(where)),
        "host_port": ("The ports on the host", _host_ports(where)),
        "privileged": ("`privileged`, where it is said,", _each(where, (security, "privileged"))),
        "allow_privilege_escalation": (
            "`allowPrivilegeEscalation`, where it is said,",
            _each(where, (security, "allowPrivilegeEscalation")),
        ),
        "read_only_fs": (
            "`readOnlyRootFilesystem`, where it is said,",
            _each(where, (security, "readOnlyRootFilesystem")),
        ),
        "run_as_user": ("`runAsUser`, where it is said,", _each(where, (security, "runAsUser"))),
        "run_as_group": ("`runAsGroup`, where it is said,", _each(where, (security, "runAsGroup"))),
        "eff_run_as_user": ("The user id at the start", _effective(where, "runAsUser")),
        "eff_run_as_group": ("The group id at the start", _effective(where, "runAsGroup")),
        "proc_mount": ("`procMount`, where it is said,", _each(where, (security, "procMount"))),
        "add_capabilities": ("The capabilities added", _flat(where, (security, "capabilities", "add"))),
    }
    return tuple(
        _list_field(f"{head}.{name}", f"{what} {of}.", values) for name, (what, values) in made.items()
    )


def _rule_field(name: str, doc: str, key: str) -> Field:
    return _list_field(f"ka.req.role.rules.{name}", doc, _flat(("requestObject", "rules"), (key,)))


def _json(family: str) -> tuple[Field, ...]:
    """The event as JSON; the two families are the same."""
    return (
        Field(
            f"{family}.value", Type.STRING, "What a JSON pointer points at, as `[/requestObject/kind]`.",
            read=_pointer, takes=Takes.KEY, sources=SOURCE,
        ),
        Field(
            f"{family}.obj", Type.STRING, "The whole event as JSON.",
            read=lambda event, _: shown(event.raw), sources=SOURCE,
        ),
        Field(
            f"{family}.time", Type.STRING, "The time of day, with nanoseconds, UTC.",
            read=time_of_day, sources=SOURCE,
        ),
        Field(f"{family}.rawtime", Type.NUMBER, "Nanoseconds since the epoch.", "time", sources=SOURCE),
    )  # fmt: skip


_CONTAINERS = ("requestObject", "spec", "containers")
_SPEC = ("requestObject", "spec")
_SECURITY = (*_SPEC, "securityContext")

REQUEST: tuple[Field, ...] = (
    _field("ka.auditid", "The request's id.", "auditID"),
    _field("ka.stage", "How far the request had come, as `ResponseComplete`.", "stage"),
    _field("ka.auth.decision", "`allow` or `forbid`.", "annotations", "authorization.k8s.io/decision"),
    _field("ka.auth.reason", "Why it was decided so.", "annotations", "authorization.k8s.io/reason"),
    _field(
        "ka.auth.openshift.decision",
        "OpenShift's decision about the log-in.",
        "annotations",
        "authentication.openshift.io/decision",
    ),
    _field(
        "ka.auth.openshift.username",
        "Who logged in to OpenShift.",
        "annotations",
        "authentication.openshift.io/username",
    ),
    _field("ka.user.name", "Who sent the request.", "user", "username"),
    _list_field("ka.user.groups", "The user's groups.", _whole("user", "groups"), Takes.NOTHING),
    _field("ka.impuser.name", "As whom the user acted.", "impersonatedUser", "username"),
    _field("ka.verb", "What was asked for: get, create, patch …", "verb"),
    _field("ka.uri", "The request's URI.", "requestURI"),
    Field(
        "ka.uri.param", Type.STRING, "A query parameter of the URI; the first, where there are several.",
        read=_parameter, takes=Takes.KEY, sources=SOURCE,
    ),
    Field(
        "kw.audit.command", Type.STRING, "The whole command of an exec request, which is several parameters.",
        read=_command, sources=SOURCE,
    ),
    Field(
        "kw.audit.kubelet", Type.STRING,
        "What a request by way of `nodes/proxy` asks of the kubelet: exec, run, attach, portForward, logs …",
        read=_kubelet, sources=SOURCE,
    ),
    _field("ka.useragent", "What the client calls itself.", "userAgent"),
    _list_field("ka.sourceips", "The client's address and the proxies before it.", _whole("sourceIPs")),
    _field("ka.target.name", "The object's name.", "objectRef", "name"),
    _field("ka.target.namespace", "The object's namespace.", "objectRef", "namespace"),
    _field("ka.target.resource", "The object's resource, as `pods`.", "objectRef", "resource"),
    _field("ka.target.subresource", "The subresource, as `exec`.", "objectRef", "subresource"),
    Field("ka.cluster.name", Type.STRING, "The cluster.", "identity.cluster", sources=SOURCE),
)  # fmt: skip

BODY: tuple[Field, ...] = (
    _list_field(
        "ka.req.binding.subjects", "Whom a binding gives its role.",
        _whole("requestObject", "subjects"), Takes.NOTHING,
    ),
    _field("ka.req.binding.role", "The role of a binding.", "requestObject", "roleRef", "name"),
    Field(
        "ka.req.binding.subject.has_name", Type.STRING, "Always `true`; for old rules.",
        read=lambda _event, _name: "true", takes=Takes.KEY, sources=SOURCE,
    ),
    _field("ka.req.configmap.name", "The ConfigMap's name.", "objectRef", "name"),
    _field("ka.req.configmap.obj", "What a ConfigMap holds, as JSON.", "requestObject", "data"),
    *(field for kind in CONTAINER_LISTS for field in _of_containers(kind)),
    Field(
        "ka.req.container.image", Type.STRING, "The first container's image.",
        read=_first(_each(_CONTAINERS, ("image",))), sources=SOURCE,
    ),
    Field(
        "ka.req.container.image.repository", Type.STRING, "The first container's image without tag.",
        read=_first(_repositories(_CONTAINERS)), sources=SOURCE,
    ),
    Field(
        "ka.req.container.privileged", Type.STRING, "Whether any container is privileged.",
        read=_any_privileged, sources=SOURCE,
    ),
    _field("ka.req.container.host_network", "As `ka.req.pod.host_network`.", *_SPEC, *_SPEC, "hostNetwork"),
    _field("ka.req.pod.host_ipc", "Whether the pod has the node's IPC.", *_SPEC, "hostIPC"),
    _field("ka.req.pod.host_network", "Whether the pod has the node's network.", *_SPEC, "hostNetwork"),
    _field("ka.req.pod.host_pid", "Whether the pod sees the node's processes.", *_SPEC, "hostPID"),
    _field("ka.req.pod.run_as_user", "The pod's `runAsUser`.", *_SECURITY, "runAsUser"),
    _field("ka.req.pod.run_as_group", "The pod's `runAsGroup`.", *_SECURITY, "runAsGroup"),
    _field("ka.req.pod.fs_group", "The pod's `fsGroup`.", *_SECURITY, "fsGroup"),
    _list_field(
        "ka.req.pod.supplemental_groups", "The pod's `supplementalGroups`.",
        _whole(*_SECURITY, "supplementalGroups"), Takes.NOTHING,
    ),
    _list_field(
        "ka.req.pod.volumes.hostpath", "The node's paths that the pod mounts.",
        _each((*_SPEC, "volumes"), ("hostPath", "path")),
    ),
    _list_field(
        "ka.req.pod.volumes.flexvolume_driver", "Drivers of flex volumes.",
        _each((*_SPEC, "volumes"), ("flexVolume", "driver")),
    ),
    _list_field("ka.req.pod.volumes.volume_type", "The volumes' types, as `configMap`.", _volume_types),
    Field(
        "ka.req.volume.hostpath", Type.STRING, "Whether this path of the node is mounted; `/etc*`: a prefix.",
        read=_mounts, takes=Takes.KEY, sources=SOURCE,
    ),
    _list_field(
        "ka.req.role.rules", "A role's rules, as JSON.", _whole("requestObject", "rules"), Takes.NOTHING
    ),
    _rule_field("apiGroups", "API groups of a role's rules.", "apiGroups"),
    _rule_field("nonResourceURLs", "Paths of a role's rules.", "nonResourceURLs"),
    _rule_field("verbs", "Verbs of a role's rules.", "verbs"),
    _rule_field("resources", "Resources of a role's rules.", "resources"),
    _field("ka.req.service.type", "A Service's type.", *_SPEC, "type"),
    _list_field("ka.req.service.ports", "A Service's ports, as JSON.", _each((*_SPEC, "ports"), ())),
    _field("ka.resp.name", "The name of the object in the answer.", "responseObject", "metadata", "name"),
    _field("ka.response.code", "The HTTP status.", "responseStatus", "code"),
    _field("ka.response.reason", "Why it failed, as `Forbidden`.", "responseStatus", "reason"),
)  # fmt: skip

FIELDS: tuple[Field, ...] = (*REQUEST, *BODY, *_json("jevt"), *_json("json"))
