"""`container.*`: in which container it happened. Names and meanings are Falco's."""

from __future__ import annotations

from keelwatch.detect.fields.base import Field, Takes, Type, unsupplied
from keelwatch.model.event import Event

SHORT_ID = 12


def _id(event: Event, _argument: object = None) -> str:
    return event.identity.container_id[:SHORT_ID] or "host"


def repository(event: Event, _argument: object = None) -> str | None:
    """The image's name without tag and digest."""
    return split_image(event.identity.image)[0] or None


def tag(event: Event, _argument: object = None) -> str | None:
    """The image's tag."""
    return split_image(event.identity.image)[1] or None


def split_image(image: str) -> tuple[str, str]:
    """(repository, tag) of `host:port/name:tag@digest`; the port is not a tag."""
    name = image.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, "")


def _info(event: Event, _argument: object = None) -> str:
    return f"container_id={_id(event)} container_name={event.identity.container or '<NA>'}"


FIELDS: tuple[Field, ...] = (
    Field(
        "container.id", Type.STRING, "The first 12 digits of the container's id; `host` outside.", read=_id
    ),
    Field(
        "container.full_id",
        Type.STRING,
        "The container's whole id.",
        "identity.container_id",
        column="container_id",
        kernel=True,
    ),
    Field("container.name", Type.STRING, "The container's name.", "identity.container", column="container"),
    Field(
        "container.image",
        Type.STRING,
        "The image, as the runtime names it.",
        "identity.image",
        column="image",
    ),
    Field(
        "container.image.repository", Type.STRING, "The image without its tag and digest.", read=repository
    ),
    Field("container.image.tag", Type.STRING, "The image's tag.", read=tag),
    Field(
        "container.image.digest",
        Type.STRING,
        "The image's digest.",
        "identity.image_digest",
        column="image_digest",
    ),
    Field("container.info", Type.STRING, "Id and name, for outputs.", read=_info),
    *unsupplied(
        "the identity does not carry it yet",
        [
            ("container.type", Type.STRING, "The container runtime."),
            ("container.privileged", Type.BOOL, "Whether the container is privileged."),
            ("container.start_ts", Type.NUMBER, "When the container started."),
            ("container.duration", Type.NUMBER, "How long the container runs."),
            ("container.ip", Type.STRING, "The container's address."),
            ("container.mounts", Type.STRING, "The container's mounts."),
            ("container.healthcheck", Type.STRING, "The container's health check."),
            ("container.host_pid", Type.BOOL, "Whether it shares the node's pid namespace."),
            ("container.host_network", Type.BOOL, "Whether it shares the node's network namespace."),
            ("container.host_ipc", Type.BOOL, "Whether it shares the node's ipc namespace."),
        ],
    ),
    *(
        Field(
            f"container.mount{part}",
            Type.STRING,
            "A mount of the container.",
            takes=Takes.KEY,
            missing="the identity does not carry it yet",
        )
        for part in ("", ".source", ".dest", ".mode", ".rdwr", ".propagation")
    ),
    Field(
        "container.label",
        Type.STRING,
        "A label of the container.",
        takes=Takes.KEY,
        missing="the identity does not carry labels yet",
    ),
)
