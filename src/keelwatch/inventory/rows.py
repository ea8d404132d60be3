"""Pure: an object as a row of the table `objects`, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import orjson

from keelwatch.inventory.objects import Container, KubeObject, OwnerRef

Row = dict[str, Any]

COLUMNS = (
    "kind", "namespace", "name", "uid", "node", "labels", "labels_cut", "owner_kind", "owner_name",
    "owner_uid", "revision", "phase", "reason", "containers", "detail", "resource_version",
)  # fmt: skip
"""What `from_row` needs, besides `created_ns`."""

_DETAIL = ("message", "rolled", "team_mark", "scheduled", "started")


class Resolved(NamedTuple):
    """What an object's owners and the team's rules make of it."""

    workload_kind: str = ""
    workload: str = ""
    team: str = ""
    team_source: str = ""
    known: bool = True  # False while an owner has not been seen yet


def to_row(event: str, time: int, cluster: str, one: KubeObject, resolved: Resolved) -> Row:
    """`event` is found, added, changed, deleted or gone; `time` is nanoseconds since the epoch."""
    owner = one.owner or OwnerRef("", "", "")
    told = [container for container in one.containers if container.container_id]
    return {
        "time": time,
        "event": event,
        "cluster": cluster,
        "kind": one.kind,
        "namespace": one.namespace,
        "name": one.name,
        "uid": one.uid,
        "created": one.created,
        "node": one.node,
        "labels": dict(one.labels),
        "labels_cut": one.labels_cut,
        "owner_kind": owner.kind,
        "owner_name": owner.name,
        "owner_uid": owner.uid,
        "workload_kind": resolved.workload_kind,
        "workload": resolved.workload,
        "revision": one.revision,
        "team": resolved.team,
        "team_source": resolved.team_source,
        "images": [container.image for container in one.containers],
        "image_digests": [container.image_digest for container in one.containers],
        "container_ids": [container.container_id for container in told],
        "containers": orjson.dumps([_short(container) for container in one.containers]).decode(),
        "phase": one.phase,
        "reason": one.reason,
        "detail": orjson.dumps(_detail(one)).decode(),
        "resource_version": one.resource_version,
        "content_hash": content_hash(one, resolved),
    }


def from_row(row: Mapping[str, Any]) -> KubeObject:
    """The object that a row was made of, as far as differences and identities need it."""
    detail = orjson.loads(row["detail"] or "{}")
    owner = OwnerRef(row["owner_kind"], row["owner_name"], row["owner_uid"])
    return KubeObject(
        kind=row["kind"],
        namespace=row["namespace"],
        name=row["name"],
        uid=row["uid"],
        resource_version=row["resource_version"],
        created=int(row["created_ns"]),
        labels=tuple(sorted(dict(row["labels"]).items())),
        labels_cut=int(row["labels_cut"]),
        owner=owner if owner.name else None,
        node=row["node"],
        phase=row["phase"],
        reason=row["reason"],
        revision=row["revision"],
        containers=tuple(Container(**one) for one in orjson.loads(row["containers"] or "[]")),
        detail=tuple((key, value) for key, value in detail.get("detail", {}).items()),
        **{name: detail[name] for name in _DETAIL if name in detail},
    )


def content_hash(one: KubeObject, resolved: Resolved) -> str:
    """Equal for two versions that make the same record; 16 hexadecimal digits."""
    row = asdict(one)
    del row["resource_version"]
    if row["owner"] is not None:
        del row["owner"]["group"]  # it is not stored; the owner's uid says as much
    text = orjson.dumps([row, list(resolved[:4])])
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _short(container: Container) -> Row:
    """Only what is known: rows of 100,000 pods are mostly defaults otherwise."""
    return {name: value for name, value in asdict(container).items() if value or name == "name"}


def _detail(one: KubeObject) -> Row:
    found: Row = {name: value for name in _DETAIL if (value := getattr(one, name))}
    return found | ({"detail": dict(one.detail)} if one.detail else {})
