"""Pure: the top owner of a pod, through ReplicaSet, ReplicationController, Job and owners of unknown kinds.

What people deploy and ask for ends the climb: a Deployment that an operator's object owns is still
`deploy/NAME` for kubectl and for us (its own owner stands in its own record).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from keelwatch.inventory.kinds import WATCHED
from keelwatch.inventory.objects import KubeObject, OwnerRef

MAX_DEPTH = 8
_TOPS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "CronJob"})
_HASH = "pod-template-hash"

Lookup = Callable[[str], KubeObject | None]
"""Object by uid."""


class Top(NamedTuple):
    """The workload. `known` is False while an owner that should be there has not been seen yet."""

    kind: str
    name: str
    uid: str
    known: bool = True


def top_owner(one: KubeObject, lookup: Lookup) -> Top:
    """Climb from owner to owner; a custom owner (a Rollout, say) is taken by its reference."""
    at = one
    for _ in range(MAX_DEPTH):
        reference = None if at.kind in _TOPS else at.owner
        if reference is None or reference.is_node:
            return Top(at.kind, at.name, at.uid)
        above = lookup(reference.uid)
        if above is None:
            return _by_reference(at, reference)
        at = above
    return Top(at.kind, at.name, at.uid)


def _by_reference(one: KubeObject, reference: OwnerRef) -> Top:
    """What the reference alone tells. Of a ReplicaSet that is not known, its Deployment's name is left."""
    if (reference.group, reference.kind) not in WATCHED or reference.kind in _TOPS:
        return Top(reference.kind, reference.name, reference.uid)
    template = one.label(_HASH)
    if reference.kind == "ReplicaSet" and template and reference.name.endswith(f"-{template}"):
        return Top("Deployment", reference.name[: -len(template) - 1], "", known=False)
    return Top(reference.kind, reference.name, reference.uid, known=False)
