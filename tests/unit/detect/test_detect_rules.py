"""Rule files: what they define, how later ones change earlier ones, and what is said about mistakes."""

import pytest

from keelwatch.detect import RuleErrors, RuleSet, load_rules, parse_rules
from keelwatch.detect.load import MAX_ALIASES, MAX_DEPTH, MAX_FILE
from keelwatch.detect.samples import make_event

RULE = """
- rule: {name}
  desc: d
  condition: {condition}
  output: o
  priority: WARNING
"""
EXEC = make_event({"kind": "exec", "path": "/bin/id", "process": {"comm": "id", "exe": "/bin/id"}})


def rule(condition, name="r"):
    return RULE.format(name=name, condition=condition)


def fired(text, event=EXEC):
    return [found.name for found in parse_rules(text).match(event)]


def errors_of(text):
    with pytest.raises(RuleErrors) as caught:
        parse_rules(text, "f.yaml")
    return [(error.line, error.column, error.message) for error in caught.value.errors]


def warnings_of(text):
    return [str(warning) for warning in parse_rules(text, "f.yaml").warnings]


def test_all_matching_rules_fire_in_the_order_of_their_definition():
    text = (
        rule("proc.name=id and evt.type=execve", "a")
        + rule("evt.type=execve", "b")
        + rule("proc.name=id", "c")
    )
    assert fired(text + rule("proc.name=other", "d")) == ["a", "b", "c"]


def test_lists_in_lists_and_macros_in_macros():
    text = """
- list: inner
  items: [id, '"a b"']
- list: outer
  items: [inner, x]
- macro: named
  condition: (proc.name in (outer))
- macro: started
  condition: evt.type in (execve) and named
"""
    assert fired(text + rule("started")) == ["r"]


def test_a_quoted_value_is_never_a_list():
    assert fired("- list: id\n  items: [x]\n" + rule("proc.name in ('id')")) == ["r"]
    assert fired("- list: id\n  items: [x]\n" + rule("proc.name in (id)")) == []


def test_a_field_that_is_missing_makes_every_test_false():
    assert fired(rule("fd.name != x")) == []
    assert fired(rule("proc.aname[9] != x")) == []
    assert fired(rule("not fd.name = x")) == ["r"]
    assert fired(rule("kw.drift exists")) == []


def test_any_ancestor():
    event = make_event(
        {"kind": "exec", "process": {"comm": "c", "parent": {"comm": "b", "parent": {"comm": "a"}}}}
    )
    assert fired(rule("proc.aname = a"), event) == ["r"]
    assert fired(rule("proc.aname[1] = a"), event) == []
    assert fired(rule("proc.aname[2] = a"), event) == ["r"]
    assert fired(rule("proc.aname in (x, b)"), event) == ["r"]
    assert fired(rule("proc.aname = c"), event) == []


CHANGES = [
    ("- macro: m\n  condition: or proc.name=id\n  append: true\n", ["r"]),
    ("- macro: m\n  condition: or proc.name=id\n  override: {condition: append}\n", ["r"]),
    ("- macro: m\n  condition: proc.name=id\n  override: {condition: replace}\n", ["r"]),
    ("- macro: m\n  condition: proc.name=id\n", ["r"]),
    ("- list: l\n  items: [id]\n  append: true\n", ["r"]),
    ("- list: l\n  items: [id]\n  override: {items: replace}\n", ["r"]),
    ("- rule: r\n  condition: or evt.type=execve\n  override: {condition: append}\n", ["r"]),
    (
        "- rule: r\n  condition: evt.type=execve\n  enabled: false\n"
        "  override: {condition: replace, enabled: replace}\n",
        [],
    ),
    ("- rule: r\n  enabled: false\n", []),
    ("- rule: r\n  priority: ERROR\n  override: {priority: replace}\n", []),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_a_later_file_changes_an_earlier_one(tmp_path, change, expected):
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("- list: l\n  items: [x]\n- macro: m\n  condition: proc.name in (l)\n" + rule("m"))
    second.write_text(change)
    assert [found.name for found in load_rules([first, second]).match(EXEC)] == expected
    assert [found.name for found in load_rules([first]).match(EXEC)] == []


def test_mistakes_in_an_appended_condition_are_placed_in_its_file(tmp_path):
    (tmp_path / "1.yaml").write_text(rule("proc.name=x"))
    (tmp_path / "2.yaml").write_text("- rule: r\n  condition: and proc.nam=id\n  append: true\n")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path])
    (error,) = caught.value.errors
    assert (error.file, error.line, error.column) == (str(tmp_path / "2.yaml"), 2, 18)
    assert "proc.name" in error.hint


MANY = """- list: shells
  items: [sh, [nested]]
- macro: bad
  condition: >
    proc.name = sh and
    proc.nmae = x and (fd.num > 1
- rule: first
  desc: d
  condition: evt.type = execve and proc.pid = seven and unknown_macro
  output: "%proc.nope and %"
  priority: LOUD
- rule: second
  condition: "evt.type = execve\\
    and proc.name regex a"
- rule: third
  desc: d
  condition: |
    proc.name startswith a
    and proc.pid contains 1
    and proc.is_exe_upper_layer = maybe
    and proc.name[1] = x and proc.apid = 2 and proc.aname[x] = y
  output: o
  priority: ERROR
  colour: red
  tags: a
- macro: worse
"""


def test_every_mistake_is_reported_at_once_with_its_place():
    found = errors_of(MANY)
    expected = [
        (2, 15, "must hold texts"),
        (6, 34, "expected ')'"),
        (9, 47, "is a number"),
        (9, 57, "unknown macro"),
        (10, 12, "unknown field 'proc.nope'"),
        (10, 27, "'%'"),
        (11, 13, "unknown priority"),
        (12, 9, "has no output, desc, priority"),
        (14, 9, "expected 'and', 'or'"),
        (19, 9, "looks at text"),
        (20, 35, "is true or false"),
        (21, 9, "takes no argument"),
        (21, 30, "needs an argument"),
        (21, 48, "index must be a number"),
        (25, 3, "must be a list"),
        (26, 10, "has no condition"),
    ]
    assert [(line, column) for line, column, _ in found] == [(line, column) for line, column, _ in expected]
    for (_, _, message), (_, _, part) in zip(found, expected, strict=True):
        assert part in message


def test_a_mistake_in_a_macro_is_reported_once():
    text = "- macro: m\n  condition: proc.nope=1\n" + rule("m", "a") + rule("m", "b")
    assert len(errors_of(text)) == 1


def test_circles():
    macros = "- macro: a\n  condition: b\n- macro: b\n  condition: a\n"
    assert any("circle: a → b → a" in message for _, _, message in errors_of(macros))
    lists = "- list: a\n  items: [b]\n- list: b\n  items: [a]\n"
    assert any("contains itself" in message for _, _, message in errors_of(lists))


HOSTILE = {
    "not a sequence": "rule: x",
    "not YAML": "- rule: [",
    "tab": "- rule: x\n\tdesc: y",
    "deep": "- " + "[" * (MAX_DEPTH + 1),
    "very deep": "- " + "[" * 200_000,
    "aliases": "- list: a\n  items: &a [x]\n" + "- list: b\n  items: *a\n" * (MAX_ALIASES + 1),
    "alias of itself": "- &a [*a]\n",
    "no name": "- rule:\n  desc: x\n",
    "key twice": "- macro: a\n  condition: proc.name=x\n  condition: proc.name=y\n",
    "append to nothing": "- macro: a\n  condition: or b\n  append: true\n",
    "strange override": rule("proc.name=x")
    + "- rule: r\n  priority: ERROR\n  override: {priority: append}\n",
    "huge number": rule("proc.pid = " + "9" * 5000),
    "number as text": rule("proc.pid = \N{ARABIC-INDIC DIGIT ONE}x"),
    "no hex": rule("proc.name bcontains xyz"),
    "macro bomb": "- macro: m0\n  condition: proc.name=x\n"
    + "".join(f"- macro: m{n}\n  condition: not (m{n - 1} and not m{n - 1})\n" for n in range(1, 40)),
    "deep macros": "- macro: m0\n  condition: proc.name=x\n"
    + "".join(
        f"- macro: m{n}\n  condition: proc.pid=1 and (proc.pid=2 or m{n - 1})\n" for n in range(1, 500)
    ),
    "list bomb": "- list: l0\n  items: ["
    + ", ".join(f"a{n}" for n in range(1000))
    + "]\n"
    + "".join(f"- list: l{n}\n  items: [{', '.join([f'l{n - 1}'] * 100)}]\n" for n in range(1, 6))
    + rule("proc.name in (l5) and proc.nope=1"),
    "binary": "\x00\x01",
    "control characters": "- rule: \x1b[31m",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused(text):
    assert errors_of(text)


@pytest.mark.parametrize(("data", "line"), [(b"- rule: x\n  desc: \xff", 2), (b" " * (MAX_FILE + 1), 1)])
def test_hostile_bytes(data, line):
    assert errors_of(data)[0][0] == line


def test_a_condition_at_every_limit_still_compiles():
    deep = "".join(f"(proc.pid={n} and (proc.ppid={n} or " for n in range(19)) + "proc.name=id" + "))" * 19
    wide = "proc.name in (" + ", ".join(f"x{n}" for n in range(3000)) + ")"
    assert fired(rule(f"({deep}) or ({deep} and proc.tty=0) or {wide}")) == []


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path / "absent.yaml"])
    assert "No such file" in str(caught.value)


WARNINGS = [
    (rule("evt.type = connect"), "never fires; not observed: connect"),
    (rule("evt.type = execve and fd.sip = 1.2.3.4"), "never fires; not supplied: fd.sip"),
    (rule("evt.type = execve and not fd.sip = 1.2.3.4"), "tests what no event has yet"),
    (rule("evt.type = openat and evt.is_open_read = true"), "opened only for reading"),
    (rule("proc.name=x") + "  colour: red\n", "unknown key 'colour'"),
    (rule("proc.name=x") + "  source: okta\n", "left out"),
    (rule("proc.name=x") + rule("proc.name=y"), "replaces the one of line"),
    ("- ruel: x\n", "ignored"),
]


@pytest.mark.parametrize(("text", "expected"), WARNINGS)
def test_warnings(text, expected):
    assert any(expected in warning for warning in warnings_of(text))


def test_what_is_fine_gives_no_warning():
    assert warnings_of("- required_engine_version: 0.57.0\n" + rule("proc.name=x")) == []


def test_kinds():
    rules = parse_rules(
        rule("evt.type in (openat, execve)", "a") + rule("fd.name=x", "b") + rule("evt.num=0", "c")
    )
    assert [sorted(found.kinds) for found in rules.rules] == [["exec", "open"], ["inherit", "open"], []]
    assert rules.kinds == {"exec", "open", "inherit"}


def test_an_inherited_descriptor_is_not_an_exec():
    event = make_event({"kind": "inherit", "type": "execve", "path": "/x", "descriptor": 1})
    assert fired(rule("evt.type in (execve, execveat)"), event) == []
    assert fired(rule("evt.type = inherit and fd.num = 1"), event) == ["r"]


def test_alerts():
    text = rule("evt.type=execve").replace("output: o", 'output: "*%proc.name ran (%proc.pname) on %fd.name"')
    (alert,) = parse_rules(text + "  tags: [a, b]\n").alerts(EXEC)
    assert (alert.rule, alert.priority, alert.tags) == ("r", "WARNING", ("a", "b"))
    assert alert.output == "id ran (sh) on <NA>"
    assert alert.event is EXEC
    assert len(alert.id) == 26
    later = RuleSet(parse_rules(text).rules).alerts(make_event({"kind": "exec", "time": EXEC.time + 10**9}))
    assert alert.id < later[0].id


def test_outputs_stay_on_one_line():
    text = rule("evt.type=execve").replace("output: o", 'output: "%proc.cmdline"')
    argv = ["id", "a\nb\x1b[31m\u202e", "x" * 10_000]
    (alert,) = parse_rules(text).alerts(make_event({"kind": "exec", "process": {"comm": "id", "argv": argv}}))
    assert alert.output.startswith("id a\\nb\\x1b[31m\\u202e x")
    assert alert.output.isprintable()
    assert len(alert.output) < 5000


def doubts(condition):
    head = "- list: shell_binaries\n  items: [sh, bash]\n- list: docker_binaries\n  items: [docker]\n"
    rule = f"- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: ERROR\n"
    return [f"{one.message} ({one.hint})" for one in parse_rules(head + rule).warnings]


@pytest.mark.parametrize("word", ["shels", "shell_binarys", "shel_binaries"])
def test_a_word_that_is_nearly_a_lists_name_is_doubted(word):
    found = doubts(f"evt.type = execve and proc.name in ({word})")
    assert found == [f"no list {word!r} (did you mean shell_binaries?)"]


def test_a_list_without_parentheses_must_be_one():
    assert doubts("evt.type = execve and proc.name in nosuch") == [
        "no list 'nosuch' (a value stands in parentheses)"
    ]
    assert doubts("evt.type = execve and proc.name in shell_binaries") == []


@pytest.mark.parametrize(
    "word", ["bash", "docker", "sh", "dockerd", "shell", "python3", "zsh", '"shels"', "/bin/shels"]
)
def test_a_value_is_no_wrong_name(word):
    assert doubts(f"evt.type = execve and proc.name in ({word})") == []


def test_an_event_type_that_is_not_observed_is_told():
    assert doubts("evt.type = connect") == ["rule 'r' never fires; not observed: connect ()"]
    assert doubts("evt.type in (execve, connect)") == [
        "rule 'r' tests event types that are not observed: connect ()"
    ]
    assert doubts("evt.type = exceve") == [
        "rule 'r' never fires; not observed: exceve (did you mean 'execve'?)"
    ]


def test_an_operator_that_is_nearly_one_is_named():
    with pytest.raises(RuleErrors) as found:
        doubts("proc.name startwith x")
    assert found.value.errors[0].hint == "did you mean 'startswith'?"
