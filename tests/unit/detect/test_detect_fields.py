"""Every field reads what it says, from every kind of event, and is documented."""

import re
from dataclasses import fields as dataclass_fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from test_detect_property import events

from keelwatch.detect.fields import FAMILIES, FIELDS, TYPES, Takes, Type, document
from keelwatch.detect.samples import make_event
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

ROOT = Path(__file__).parents[3]
PYTHON_TYPES = {Type.STRING: str, Type.NUMBER: int, Type.BOOL: bool, Type.STRINGS: tuple}
MODELS = {"process": Process, "identity": Identity}
SUPPLIED = [field for field in FIELDS.values() if field.supplied and "syscall" in field.sources]


def argument_of(field):
    return {Takes.NOTHING: None, Takes.INDEX: 1, Takes.KEY: "name"}[field.takes]


@settings(max_examples=60, deadline=None)
@given(events())
def test_values_have_the_type_of_the_field(event):
    for field in SUPPLIED:
        value = field.value(event, argument_of(field))
        expected = (
            str if field.type is Type.STRINGS and field.takes is Takes.INDEX else PYTHON_TYPES[field.type]
        )
        assert value is None or type(value) is expected, field.name
        assert value != (), field.name


@pytest.mark.parametrize(
    "field", [field for field in FIELDS.values() if field.attribute], ids=lambda field: field.name
)
def test_attributes_exist_in_the_model(field):
    model, _, name = field.attribute.rpartition(".")
    assert name in {known.name for known in dataclass_fields(MODELS.get(model, Event))}


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_a_field_is_supplied_or_says_why_not(field):
    assert field.supplied != bool(field.missing)
    assert field.doc.endswith((".", "…"))
    assert field.kinds is None or field.kinds <= set(TYPES)


def test_families_do_not_overlap():
    assert sum(len(family) for family in FAMILIES.values()) == len(FIELDS)


def test_columns_exist_in_the_store():
    files = [p for suffix in ("*.sql", "*.py") for p in sorted((ROOT / "src/keelwatch/store").rglob(suffix))]
    schema = "".join(path.read_text() for path in files)
    known = set(re.findall(r"\w+", schema)) | {field.name for field in dataclass_fields(Identity)}
    columns = {field.column for field in FIELDS.values() if field.column}
    assert columns <= known, columns - known


EXPECTED = [
    ("proc.name", None, "cat"),
    ("proc.exe", None, "/bin/cat"),
    ("proc.args", None, "-n /x"),
    ("proc.cmdline", None, "cat -n /x"),
    ("proc.exeline", None, "/bin/cat -n /x"),
    ("proc.pname", None, "sh"),
    ("proc.aname", None, ("sh", "runc")),
    ("proc.aname", 0, "cat"),
    ("proc.aname", 2, "runc"),
    ("proc.aname", 3, None),
    ("proc.apid", 1, 43),
    ("proc.env", "A", "1"),
    ("proc.env", "B", None),
    ("proc.env", None, "A=1"),
    ("container.id", None, "5a5a5a5a5a5a"),
    ("container.image.repository", None, "registry.example/shop/checkout"),
    ("container.image.tag", None, "1.4"),
    ("k8s.deployment.name", None, "checkout"),
    ("k8s.daemonset.name", None, None),
    ("fd.name", None, "/etc/x"),
    ("fd.directory", None, "/etc"),
    ("fd.filename", None, "x"),
    ("fd.num", None, 3),
    ("evt.is_open_write", None, True),
    ("evt.is_open_read", None, False),
    ("evt.arg.flags", None, "O_WRONLY|O_CREAT"),
    ("evt.arg", "flags", "O_WRONLY|O_CREAT"),
    ("evt.res", None, "SUCCESS"),
    ("evt.arg.oldpath", None, None),
    ("kw.phase", None, "run"),
    ("kw.ns.kind", None, None),
    ("kw.path", None, "/etc/x"),
    ("user.name", None, "root"),
    ("thread.cap_effective", None, "CAP_SYS_ADMIN CAP_BPF"),
]


@pytest.mark.parametrize(("name", "argument", "expected"), EXPECTED)
def test_values(name, argument, expected):
    process = {
        "comm": "cat",
        "exe": "/usr/bin/cat",
        "argv": ["/bin/cat", "-n", "/x"],
        "environment": {"A": "1"},
        "capabilities": 1 << 21 | 1 << 39,
        "parent": {"comm": "sh", "parent": {"comm": "runc"}},
    }
    event = make_event(
        {"kind": "open", "type": "openat", "path": "/etc/x", "flags": 0o101, "result": 3, "process": process}
    )
    assert FIELDS[name].value(event, argument) == expected


def test_the_reference_is_current():
    written = (ROOT / "docs/reference/fields.md").read_text()
    assert written == document.render(), (
        "run: python -m keelwatch.detect.fields.document > docs/reference/fields.md"
    )
