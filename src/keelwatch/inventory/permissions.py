"""Which permissions the hub lacks at the API server, each in the words an RBAC rule needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keelwatch.inventory.client import Api
from keelwatch.inventory.kinds import KINDS

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WATCHING = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on a resource (`group` "" is the core), or on a `url` that belongs to none.

    `namespace` "" is all of the cluster; `why` says what does not work without it.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    url: str = ""
    why: str = ""

    @property
    def missing(self) -> str:
        """That it is missing, and the rule that would grant it."""
        if self.url:
            text = f"cannot {self.verb} {self.url} (nonResourceURLs [{self.url}], verbs [{self.verb}])"
        else:
            where = f"in the namespace {self.namespace}" if self.namespace else "at the cluster scope"
            named = f", resourceNames [{self.name}]" if self.name else ""
            text = (
                f"cannot {self.verb} {self.resource}{' ' + self.name if self.name else ''} {where} "
                f'(apiGroups ["{self.group}"], resources [{self.resource}]{named}, verbs [{self.verb}])'
            )
        return f"{text}: {self.why}" if self.why else text


def of_the_inventory() -> list[Permission]:
    """What watching the cluster needs."""
    why = "who owns a container, and which ones there are, is not known without it"
    return [Permission(verb, kind.group, kind.resource, why=why) for kind in KINDS for verb in WATCHING]


def of_the_agents() -> list[Permission]:
    """What checking agents' ServiceAccount tokens needs."""
    why = "agents' tokens cannot be checked"
    return [Permission("create", "authentication.k8s.io", "tokenreviews", why=why)]


def of_the_authority(configmap: str) -> list[Permission]:
    """What publishing the CA in NAMESPACE/NAME needs."""
    namespace, _, name = configmap.partition("/")
    why = "agents do not learn of the hub's CA"
    return [Permission(verb, "", "configmaps", namespace, name, why=why) for verb in ("get", "patch")]


def of_the_audit() -> list[Permission]:
    """What asking the API server for its own losses needs."""
    return [Permission("get", url="/metrics", why="audit events that the API server dropped are not counted")]


def lacking(api: Api, wanted: Iterable[Permission]) -> Sequence[Permission]:
    """Those that the hub does not have; every authenticated client may ask. Raises as Api does."""
    return [permission for permission in wanted if not _allowed(api, permission)]


def _allowed(api: Api, permission: Permission) -> bool:
    if permission.url:
        spec = {"nonResourceAttributes": {"path": permission.url, "verb": permission.verb}}
    else:
        names = ("verb", "group", "resource", "namespace", "name")
        spec = {"resourceAttributes": {name: getattr(permission, name) for name in names}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    return (api.post(_PATH, body).get("status") or {}).get("allowed") is True
