"""A request to enter a container, joined from the stages that the API server's audit tells of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from keelwatch.model import kubelet

EXEC, ATTACH, DEBUG, PORT_FORWARD = "exec", "attach", "debug", "port-forward"
KINDS: tuple[str, ...] = (EXEC, ATTACH, DEBUG, PORT_FORWARD)
MADE = "made"
"""A pod that somebody made by hand: a session (a debug) only where it was made to be entered."""
SUBRESOURCES: Mapping[str, str] = {
    "exec": EXEC,
    "attach": ATTACH,
    "portforward": PORT_FORWARD,
    "ephemeralcontainers": DEBUG,
}
"""Subresource of pods → kind of access."""
CHANGES = frozenset({"patch", "update"})
"""The verbs that add an ephemeral container; others of that subresource only read."""

MAX_ARGUMENTS = 1024
MAX_CONTAINERS = 50
MAX_URI = 16 << 10
"""Characters of an address that are stored; a longer one was cut."""
DEBUG_LABEL = ("app.kubernetes.io/managed-by", "kubectl-debug")
NODE_DEBUGGER = "node-debugger-"
"""How `kubectl debug node/…` names its pods; only newer ones set the label."""
_ENDED = frozenset({"ResponseComplete", "Panic"})
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NODE_KINDS = {"exec": EXEC, "run": EXEC, "attach": ATTACH, "portForward": PORT_FORWARD}


@dataclass(frozen=True, slots=True)
class Request:
    """Times are nanoseconds since the epoch, 0 where not known (yet); `started`: the answer began.

    `id` names the session for ever. `container` is "" where the request left the choice to the API
    server. `argv` is an exec's command; `image` and `target` are a debugging container's. `whole` is
    false where the audit's policy or limits cut what would be needed. `containers` are those of a pod
    that was made, each with its image and command; `debugs`: it says that it is there for debugging.
    """

    id: str
    audit_id: str
    kind: str
    cluster: str
    namespace: str
    pod: str
    received: int
    started: int = 0
    ended: int = 0
    code: int = 0
    verb: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    impersonated: str = ""
    source_ips: tuple[str, ...] = ()
    user_agent: str = ""
    container: str = ""
    argv: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    image: str = ""
    target: str = ""
    through: str = ""
    whole: bool = True
    containers: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    debugs: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def command(self) -> str:
        """The command as one text, as a process's `cmdline` has it."""
        return " ".join(self.argv)

    @property
    def actor(self) -> str:
        """The user, and as whom; for people."""
        return f"{self.user} as {self.impersonated}" if self.impersonated else self.user

    @property
    def refused(self) -> bool:
        """Whether the API server or the kubelet said no."""
        return self.code >= 400


Row = Mapping[str, Any]


def requests(rows: Iterable[Row]) -> list[Request]:
    """The requests that rows of `audit` tell of, the earliest first; what is none of ours is left out."""
    stages: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row["audit_id"], str(row["requested"]), row["user"], row["uri"])
        stages.setdefault(key, []).append(row)
    found = [request for group in stages.values() if (request := _joined(group)) is not None]
    return _named(sorted(found, key=lambda one: (one.received, one.user, one.command)))


def _named(found: Sequence[Request]) -> list[Request]:
    """Give each request an id of its own: the caller may choose the audit id, and use one twice."""
    named: list[Request] = []
    taken: set[str] = set()
    for request in found:
        name = request.audit_id if _PLAIN_ID.fullmatch(request.audit_id) else f"x{_digest(request)}"
        if name in taken:
            name = f"{name}~{_digest(request)[:12]}"
        taken.add(name)
        named.append(replace(request, id=name))
    return named


def _digest(request: Request) -> str:
    parts = (request.audit_id, str(request.received), request.user, request.namespace, request.pod,
             request.kind, request.command)  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _joined(group: Sequence[Row]) -> Request | None:
    first = group[0]
    ended = [row for row in group if row["stage"] in _ENDED]
    started = [row for row in group if row["stage"] == "ResponseStarted"]
    codes = [int(row["code"]) for row in (*ended, *started) if row["code"]]
    request = Request(
        id="",
        audit_id=str(first["audit_id"]),
        kind="",
        cluster=str(first["cluster"]),
        namespace=str(first["namespace"]),
        pod=str(first["name"]),
        received=int(first["requested"]),
        started=min((int(row["time"]) for row in started), default=0),
        ended=max((int(row["time"]) for row in ended), default=0),
        code=codes[0] if codes else 0,
        verb=str(first["verb"]),
        user=str(first["user"]),
        groups=tuple(first["groups"]),
        impersonated=str(first["impersonated_user"]),
        source_ips=tuple(first["source_ips"]),
        user_agent=str(first["user_agent"]),
        identity=first,
    )
    if first["resource"] == "nodes":
        return _through_node(request, first)
    body = next((str(body) for row in group if (body := row["request_object"])), "")
    if not first["subresource"]:
        return _made(replace(request, kind=MADE), body) if request.verb == "create" and request.pod else None
    kind = SUBRESOURCES.get(str(first["subresource"]), "")
    request = replace(request, kind=kind)
    if kind == DEBUG:
        return _debug(request, body) if request.verb in CHANGES else None
    return _asked(request, str(first["uri"])) if kind else None


def _through_node(request: Request, row: Row) -> Request | None:
    """A request to the kubelet's own address; its `run` takes the command as one text."""
    uri = str(row["uri"])
    entry = kubelet.entry_of(uri)
    if entry is None:
        return None
    asked = _asked(replace(request, kind=_NODE_KINDS[entry.way]), uri)
    argv = asked.argv
    if entry.way == "run":
        argv = tuple(dict(reversed(_pairs(uri))).get("cmd", "").split(" ")[:MAX_ARGUMENTS])
    return replace(
        asked,
        namespace=entry.namespace,
        pod=entry.pod,
        container=entry.container,
        argv=argv,
        through="nodes/proxy",
    )


def pod_through_node(uri: str) -> tuple[str, str] | None:
    """(namespace, pod) of a request by way of the kubelet; None for one that enters no container."""
    entry = kubelet.entry_of(uri)
    return (entry.namespace, entry.pod) if entry else None


def _asked(request: Request, uri: str) -> Request:
    """What the address's query says: the command, the container, the streams."""
    pairs = _pairs(uri)
    one = dict(reversed(pairs))  # the first of several counts, as for the API server
    return replace(
        request,
        container=one.get("container", ""),
        argv=tuple(value for name, value in pairs if name == "command"),
        tty=_true(one.get("tty", one.get("TTY", ""))),
        stdin=_true(one.get("stdin", one.get("input", ""))),
        whole=len(uri) < MAX_URI and bool(pairs or "?" not in uri),
    )


def _pairs(uri: str) -> list[tuple[str, str]]:
    """The query's names and values; none where there are more than anybody needs."""
    query = uri.partition("?")[2][:MAX_URI]
    try:
        return parse_qsl(
            query, keep_blank_values=True, errors="backslashreplace", max_num_fields=MAX_ARGUMENTS
        )
    except ValueError:
        return []


def _true(text: str) -> bool:
    return text.lower() in ("true", "1")


def _made(request: Request, body: str) -> Request | None:
    """What a pod that was made says of itself; one with an owner was made by a controller."""
    debugs = request.pod.startswith(NODE_DEBUGGER)
    try:
        pod = orjson.loads(body)
        metadata, spec = pod["metadata"], pod["spec"]
        if metadata.get("ownerReferences"):
            return None
        label, value = DEBUG_LABEL
        node = spec.get("nodeName") if spec.get("hostPID") else ""
        return replace(
            request,
            containers=tuple(_container(one) for one in spec["containers"][:MAX_CONTAINERS]),
            debugs=debugs or (metadata.get("labels") or {}).get(label) == value,
            target=f"node/{node}" if node else "",
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return replace(request, debugs=debugs, whole=False)


def _container(told: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    return str(told["name"]), str(told.get("image", "")), _command(told)


def _command(told: Mapping[str, Any]) -> tuple[str, ...]:
    command = told.get("command") or told.get("args") or []
    return tuple(str(part) for part in command[:MAX_ARGUMENTS])


def _debug(request: Request, body: str) -> Request:
    """Which ephemeral container was added; the last of them, where a whole pod was sent."""
    try:
        containers = orjson.loads(body)["spec"]["ephemeralContainers"]
        added = containers[-1]
        return replace(
            request,
            container=str(added["name"]),
            argv=_command(added),
            image=str(added.get("image", "")),
            target=str(added.get("targetContainerName", "")),
            tty=bool(added.get("tty")),
            stdin=bool(added.get("stdin")),
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return replace(request, whole=False)
