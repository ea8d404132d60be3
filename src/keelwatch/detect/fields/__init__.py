"""Every field of the rule language, one table a family."""

from __future__ import annotations

from keelwatch.detect.fields import (
    audit,
    audit_result,
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
from keelwatch.model.audit import AUDIT_KIND

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
    "Kubernetes audit": (*audit.FIELDS, *audit_result.FIELDS),
}
FIELDS: dict[str, Field] = {field.name: field for family in FAMILIES.values() for field in family}

SOURCES: dict[str, tuple[str, ...]] = {"syscall": tuple(TYPES), "k8s_audit": (AUDIT_KIND,)}
"""The event sources that rules may be written for, and the kinds of event of each."""

__all__ = ["FAMILIES", "FIELDS", "SOURCES", "TYPES", "Constant", "Field", "FieldValue", "Takes", "Type"]
