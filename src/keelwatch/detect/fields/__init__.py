"""Every field of the rule language, one table a family."""

from __future__ import annotations

from keelwatch.detect.fields import (
    container,
    event,
    file,
    group,
    keelwatch,
    kubernetes,
    process,
    thread,
    user,
)
from keelwatch.detect.fields.base import Constant, Field, FieldValue, Takes, Type
from keelwatch.detect.fields.event import TYPES

FAMILIES: dict[str, tuple[Field, ...]] = {
    "Event": event.FIELDS,
    "Process": process.FIELDS,
    "Thread": thread.FIELDS,
    "User": user.FIELDS,
    "Group": group.FIELDS,
    "File": file.FIELDS,
    "Container": container.FIELDS,
    "Kubernetes": kubernetes.FIELDS,
    "keelwatch": keelwatch.FIELDS,
}
FIELDS: dict[str, Field] = {field.name: field for family in FAMILIES.values() for field in family}

__all__ = ["FAMILIES", "FIELDS", "TYPES", "Constant", "Field", "FieldValue", "Takes", "Type"]
