"""The generated functions and a naive interpreter agree on random conditions and events."""

from dataclasses import replace

from detect_naive import holds
from hypothesis import given, settings
from hypothesis import strategies as st

from keelwatch.detect import ast
from keelwatch.detect.compile import compile_kind, generate
from keelwatch.detect.fields import FIELDS, TYPES, Field, Takes, Type
from keelwatch.detect.operators import BYTES, NUMERIC, OPERATORS, TEXTUAL
from keelwatch.detect.samples import CONTAINER, NODE, OTHER, make_event
from keelwatch.model.event import Event, Story
from keelwatch.model.process import Process

WORDS = [
    "",
    "sh",
    "id",
    "/",
    "/tmp",
    "/tmp/x",
    "/tmp/",
    "/etc/passwd",
    "run",
    "setup",
    "new",
    "a'b\"c\\",
    "é\n",
    "*",
    "[x]",
]
WORDS += [
    "SH",
    "openat",
    "host",
    "root",
    "SUCCESS",
    "5a5a5a5a5a5a",
    "checkout",
    "S_ISUID|S_IXUSR",
    "mnt",
    "net",
]
NUMBERS = [-13, -1, 0, 1, 2, 42, 1 << 40]
texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=4))
numbers = st.sampled_from(NUMBERS)
ARGUMENTS = {
    Takes.NOTHING: st.none(),
    Takes.INDEX: st.integers(0, 3),
    Takes.KEY: st.sampled_from(["PATH", "name", "x"]),
}


def operators_of(field: Field) -> list[str]:
    found = {"=", "!=", "in", "intersects", "exists"}
    if field.type is Type.NUMBER:
        found |= NUMERIC
    elif field.type is not Type.BOOL:
        found |= TEXTUAL | BYTES
    return sorted(found)


def constants_of(field: Field, operator: str):
    if operator == "exists":
        return st.just(())
    if operator in BYTES:
        return st.sampled_from([("2f",), ("",), ("7368",), ("ff",)])
    one = {Type.NUMBER: numbers, Type.BOOL: st.booleans()}.get(field.type, texts)
    several = operator in ("in", "intersects", "pmatch")
    return st.lists(one, min_size=0 if several else 1, max_size=4 if several else 1).map(tuple)


@st.composite
def leaf(draw, fields):
    field = FIELDS[draw(st.sampled_from(fields))]
    operator = draw(st.sampled_from(operators_of(field)))
    argument = None if field.optional and draw(st.booleans()) else draw(ARGUMENTS[field.takes])
    return ast.Test(field, argument, operator, draw(constants_of(field, operator)))


COMMON = [
    "evt.type",
    "proc.name",
    "fd.name",
    "kw.path",
    "container.id",
    "proc.aname",
    "kw.ns.kind",
    "evt.rawres",
    "evt.num",
    "kw.kind",
    "proc.args",
    "evt.is_open_write",
    "kw.drift",
]
SYSCALL = tuple(name for name, field in FIELDS.items() if "syscall" in field.sources)
leaves = st.one_of(leaf(SYSCALL), leaf(COMMON), st.sampled_from([ast.ALWAYS, ast.NEVER]))
FEW = [
    ast.Test(FIELDS[name], None, operator, constants)
    for name in ("proc.pname", "kw.path")
    for operator, constants in (
        ("=", ("sh",)),
        ("startswith", ("/tmp",)),
        ("startswith", ("s",)),
        ("endswith", ("x",)),
        ("icontains", ("SH",)),
        ("pmatch", ("/tmp", "/etc/")),
    )
]
MACROS = [
    ast.Or(tuple(FEW[:3])),
    ast.Or(tuple(FEW[3:8])),
    ast.And((FEW[0], FEW[8])),
    ast.Not(ast.Or(tuple(FEW[1:3]))),
]


def trees(of):
    return st.recursive(
        of,
        lambda inner: st.one_of(
            inner.map(ast.Not),
            st.lists(inner, min_size=1, max_size=4).map(lambda items: ast.And(tuple(items))),
            st.lists(inner, min_size=1, max_size=4).map(lambda items: ast.Or(tuple(items))),
        ),
        max_leaves=12,
    )


nodes = trees(leaves)
alike = trees(st.sampled_from([*FEW, *MACROS]))
"""Conditions that share tests, as rules with the same macros do."""
plain = st.sampled_from(["", "sh", "SH", "id", "/tmp/x", "/tmp", "/etc/passwd", "x"])


@st.composite
def processes(draw, depth=0):
    parent = draw(processes(depth + 1)) if depth < 3 and draw(st.booleans()) else None
    return Process(
        pid=draw(st.integers(1, 3)),
        start=0,
        parent=parent,
        comm=draw(texts),
        exe=draw(texts),
        argv=tuple(draw(st.lists(texts, max_size=2))),
        cwd=draw(texts),
        euid=draw(st.sampled_from([0, 1])),
        loginuid=draw(st.sampled_from([-1, 0])),
        environment=draw(st.dictionaries(st.sampled_from(["PATH", "x"]), texts, max_size=2)),
        capabilities=draw(st.sampled_from([0, 1 << 21])),
        container_id=draw(st.sampled_from(["", CONTAINER.container_id])),
        exec_time=draw(st.sampled_from([0, 5])),
        upper=draw(st.booleans()),
        memfd=draw(st.booleans()),
        script=draw(texts),
    )


@st.composite
def events(draw):
    kind = draw(st.sampled_from(sorted(TYPES)))
    story = Story(sentence=draw(texts), writer=draw(st.none() | st.just({"name": "sh"})))
    return Event(
        time=draw(st.integers(1, 50)),
        kind=kind,
        type=draw(st.sampled_from(TYPES[kind])),
        result=draw(numbers),
        process=draw(processes()),
        identity=draw(st.sampled_from([NODE, CONTAINER, replace(CONTAINER, image="a:5000/b@sha256:1")])),
        phase=draw(st.sampled_from(["setup", "run", ""])),
        file_identity=draw(st.sampled_from([None, OTHER])),
        path=draw(texts),
        old_path=draw(texts),
        mode=draw(st.sampled_from([0, 0o104755, 0o100644])),
        ctime=draw(st.sampled_from([0, 3])),
        flags=draw(st.sampled_from([0, 1, 2, 0o101, 0x00020000, 0x40000000])),
        created=draw(st.booleans()),
        drift=draw(st.sampled_from(["", "new", "changed"])),
        target=draw(st.none() | processes()),
        request=draw(st.sampled_from([0, 16, 9999])),
        story=draw(st.none() | st.just(story)),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(nodes, min_size=1, max_size=4), st.lists(events(), min_size=1, max_size=4))
def test_generated_code_means_what_the_tree_says(conditions, happened):
    for event in happened:
        match = compile_kind(conditions, range(len(conditions)), event.kind)
        expected = [number for number, condition in enumerate(conditions) if holds(condition, event)]
        assert sorted(match(event)) == expected, generate(conditions, event.kind)[0]


@settings(max_examples=300, deadline=None)
@given(st.lists(alike, min_size=2, max_size=4), plain, plain, plain, st.sampled_from(["exec", "open"]))
def test_conditions_that_share_tests(conditions, name, parent, path, kind):
    process = {"comm": name, "parent": {"comm": parent}}
    event = make_event({"kind": kind, "path": path, "process": process})
    match = compile_kind(conditions, range(len(conditions)), kind)
    expected = [number for number, condition in enumerate(conditions) if holds(condition, event)]
    assert sorted(match(event)) == expected, generate(conditions, kind)[0]


@given(texts, st.sampled_from(sorted(TEXTUAL | {"=", "!=", "in"})))
def test_constants_cannot_become_code(text, operator):
    node = ast.Test(FIELDS["proc.name"], None, operator, (text,))
    source, _ = generate([node], "exec")
    assert source.isascii()
    compile(source, "<test>", "exec")
    assert "\n" not in source.split("hits = []\n")[1].split(":\n")[0]


def test_every_operator_is_tried():
    tried = {operator for field in FIELDS.values() for operator in operators_of(field)}
    assert tried == set(OPERATORS.values())
