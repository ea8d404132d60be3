"""`kw.audit.pod.*`, `kw.audit.binding.*`, `kw.audit.role.*`: which pods and rights a request leaves behind.

The answer says it where the policy records one with the object in it; else the request does: an object, a
patch that is a part of one, or operations (RFC 6902), of which each value is put where it belongs. A
request that touches neither has none of these fields: a label for a privileged DaemonSet makes no pod.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from keelwatch.detect.fields.audit import CONTAINER_LISTS, SOURCE, dig, texts
from keelwatch.detect.fields.base import Field, FieldValue, Type
from keelwatch.model.audit import AuditEvent

_Path: TypeAlias = tuple[str, ...]
_INDEX = re.compile(r"-|[-+]?[0-9]+")  # `-` is behind the last item; the API server takes signs, too
_SETS = frozenset({"add", "replace"})
MAX_PARTS = 32
"""Parts of a JSON pointer; pods and rights lie less deep."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object has its pods: what makes new ones when it is touched, and their `spec` in it."""

    touched: _Path
    spec: _Path


_TEMPLATE = ("spec", "template")
_JOB = ("spec", "jobTemplate")
_PLACES = {
    "pods": _Place(("spec",), ("spec",)),
    "cronjobs": _Place(_JOB, (*_JOB, *_TEMPLATE, "spec")),
    **dict.fromkeys(
        ("deployments", "daemonsets", "statefulsets", "replicasets", "replicationcontrollers", "jobs"),
        _Place(_TEMPLATE, (*_TEMPLATE, "spec")),
    ),
}
_ROLE, _SUBJECTS, _RULES = ("roleRef",), ("subjects",), ("rules",)


def _pointer(text: Any) -> _Path:
    """A JSON pointer (RFC 6901) in parts; none for the whole document."""
    parts = text.split("/")[1:] if isinstance(text, str) else ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def _operations(event: AuditEvent) -> list[dict[str, Any]] | None:
    """The operations of a JSON patch; None where the request is no such patch."""
    request = event.get("requestObject")
    return [one for one in request if isinstance(one, dict)] if isinstance(request, list) else None


def _touches(event: AuditEvent, *paths: _Path) -> bool:
    """Whether a request sets or changes what stands at one of these paths."""
    operations = _operations(event)
    if operations is not None:
        changed = [_pointer(one.get("path")) for one in operations if one.get("op") != "test"]
        return any(_near(one, path) for one in changed for path in paths)
    request = event.get("requestObject")
    if event.text("verb") != "patch" or request is None:
        return True
    return any(_merges(request, path) for path in paths)


def _near(one: _Path, other: _Path) -> bool:
    """Whether one of two paths leads to the other, or into it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _merges(patch: Any, path: _Path) -> bool:
    """Whether a patch that is a part of the object reaches a path, or puts something in its place."""
    for key in path:
        if not isinstance(patch, dict) or any(name.startswith("$") for name in patch):
            return True  # `$patch: replace` takes away what is not there
        if key not in patch:
            return False
        patch = patch[key]
    return True


def _states(event: AuditEvent, path: _Path) -> Iterator[Any]:
    """What may stand at a path after the request: of the object, or of each part of it that is known.

    A client can ask for an answer that is only a table or the metadata.
    """
    whole = dig(event.get("responseObject"), path)
    operations = _operations(event)
    if whole is not None:
        yield whole
    elif operations is None:
        yield dig(event.get("requestObject"), path)
    else:
        yield from (dig(one, path) for one in _fragments(operations))


def _fragments(operations: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """For each value that a JSON patch sets an object that has only this value, in its place."""
    for one in operations:
        parts = _pointer(one.get("path"))
        if one.get("op") in _SETS and len(parts) <= MAX_PARTS:
            value = one.get("value")
            for part in reversed(parts):
                value = [value] if _INDEX.fullmatch(part) else {part: value}
            yield value


def _pods(event: AuditEvent) -> list[dict[str, Any]]:
    """The specs of the pods that a request makes: itself, or by a workload's template."""
    place = _PLACES.get(event.text("objectRef", "resource"))
    if place is None or not _touches(event, place.touched):
        return []
    specs = [spec for spec in _states(event, place.spec) if isinstance(spec, dict)]
    if event.text("objectRef", "subresource") != "ephemeralcontainers":
        return specs
    return [{"ephemeralContainers": spec.get("ephemeralContainers")} for spec in specs]


def _items(holder: Any, key: str) -> list[Any]:
    found = dig(holder, (key,))
    return found if isinstance(found, list) else []


def _of_containers(event: AuditEvent, *path: str) -> Iterator[Any]:
    """What stands at a path of each container of the pods, of whatever sort."""
    for spec in _pods(event):
        for kind in CONTAINER_LISTS:
            yield from (dig(one, path) for one in _items(spec, kind))


def _capabilities(event: AuditEvent) -> Iterator[str]:
    """As rules name them; runtimes take small letters and `CAP_`, too."""
    for added in _of_containers(event, "securityContext", "capabilities", "add"):
        for one in added if isinstance(added, list) else ():
            yield str(one).upper().removeprefix("CAP_")


def _shared(event: AuditEvent) -> Iterator[str]:
    names = {"pid": "hostPID", "ipc": "hostIPC", "network": "hostNetwork"}
    for spec in _pods(event):
        yield from (name for name, key in names.items() if spec.get(key) is True)


def _host_paths(event: AuditEvent) -> Iterator[str]:
    """One way to write each: `//etc/.` is /etc."""
    for spec in _pods(event):
        for volume in _items(spec, "volumes"):
            path = dig(volume, ("hostPath", "path"))
            if isinstance(path, str):
                yield posixpath.normpath(f"/{path.lstrip('/')}")


def _subjects(event: AuditEvent) -> Iterator[Any]:
    """The names by which those whom a binding names act."""
    for found in _states(event, _SUBJECTS) if _touches(event, _SUBJECTS, _ROLE) else ():
        for one in found if isinstance(found, list) else ():
            name, namespace = dig(one, ("name",)), dig(one, ("namespace",))
            account = dig(one, ("kind",)) == "ServiceAccount" and namespace
            yield f"system:serviceaccount:{namespace}:{name}" if account else name


def _role(event: AuditEvent, _argument: object) -> FieldValue:
    found = _states(event, (*_ROLE, "name")) if _touches(event, _SUBJECTS, _ROLE) else ()
    return next(iter(texts(found)), None)


def _of_rules(key: str) -> Callable[[AuditEvent], Iterator[Any]]:
    def read(event: AuditEvent) -> Iterator[Any]:
        for rules in _states(event, _RULES) if _touches(event, _RULES) else ():
            for rule in rules if isinstance(rules, list) else ():
                yield from _items(rule, key)

    return read


def _strings(name: str, doc: str, values: Callable[[AuditEvent], Iterable[Any]]) -> Field:
    """A field of several values, each once; `doc` goes on with whose they are."""
    return Field(
        name, Type.STRINGS, doc, read=lambda event, _argument: tuple(dict.fromkeys(texts(values(event)))),
        sources=SOURCE,
    )  # fmt: skip


FIELDS: tuple[Field, ...] = (
    _strings(
        "kw.audit.pod.images",
        "The images of all containers of the pods that a request makes or changes, or has a workload make: "
        "of a Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet, Job or CronJob whose "
        "template it sets or changes. Told by the answer where that is recorded, else by the request, a "
        "JSON patch included.",
        lambda event: _of_containers(event, "image"),
    ),
    _strings(
        "kw.audit.pod.privileged", "`privileged` of such a pod's containers, where it is said.",
        lambda event: _of_containers(event, "securityContext", "privileged"),
    ),
    _strings(
        "kw.audit.pod.capabilities", "The capabilities added for such a pod's containers, as `SYS_ADMIN`.",
        _capabilities,
    ),
    _strings("kw.audit.pod.host", "What such a pod shares with its node: pid, ipc, network.", _shared),
    _strings("kw.audit.pod.hostpaths", "The node's paths that such a pod mounts, normalised.", _host_paths),
    Field(
        "kw.audit.binding.role", Type.STRING,
        "The role of a binding of which a request sets or changes the subjects; absent where neither answer "
        "nor request tells it.",
        read=_role, sources=SOURCE,
    ),
    _strings(
        "kw.audit.binding.subjects",
        "Whom such a binding names, as they are called: a service account by its user name.", _subjects,
    ),
    _strings(
        "kw.audit.role.verbs", "Verbs of a role whose rules a request sets or changes.", _of_rules("verbs")
    ),
    _strings("kw.audit.role.resources", "Resources of such a role.", _of_rules("resources")),
)  # fmt: skip
