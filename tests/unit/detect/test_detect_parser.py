"""Conditions as Falco writes them become trees; what makes no sense says where and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.detect import ast
from keelwatch.detect.lexer import SyntaxFault
from keelwatch.detect.parser import MAX_CONDITION, MAX_DEPTH, parse


def show(node):
    """A tree as text, short enough to compare."""
    match node:
        case ast.And(items):
            return "(" + " & ".join(map(show, items)) + ")"
        case ast.Or(items):
            return "(" + " | ".join(map(show, items)) + ")"
        case ast.Not(item):
            return "!" + show(item)
        case ast.Reference(name):
            return name
    argument = f"[{node.argument}]" if node.argument is not None else ""
    values = ",".join(value.text for value in node.values)
    return f"{node.name}{argument} {node.operator} {values}".rstrip()


GOOD = [
    ("a.b=c", "a.b = c"),
    ("a.b == c", "a.b = c"),
    ("a.b!=c", "a.b != c"),
    ("fd.num>=0", "fd.num >= 0"),
    ("fd.num > -1", "fd.num > -1"),
    ("a.b<=0x1F", "a.b <= 0x1F"),
    ("evt.dir=<", "evt.dir = <"),
    ("a and b or c and not d", "((a & b) | (c & !d))"),
    ("a and (b or c)", "(a & (b | c))"),
    ("a and(b)and(c)", "(a & b & c)"),
    ("not(a)", "!a"),
    ("not not a", "a"),
    ("not a.b=c and d", "(!a.b = c & d)"),
    ("a.b in (x, y , 'z w')", "a.b in x,y,z w"),
    ("a.b in ()", "a.b in"),
    ("a.b in names", "a.b in names"),
    ("a.b in(x)", "a.b in x"),
    ("a.b exists and c", "(a.b exists & c)"),
    ("a.b[2] = x", "a.b[2] = x"),
    ("a.b['x y'] = z", "a.b[x y] = z"),
    ("a.b[/var/run/docker.sock] exists", "a.b[/var/run/docker.sock] exists"),
    ('a.b contains "x \\"y\\" z"', 'a.b contains x "y" z'),
    ("a.b startswith '\\d\\\\'", "a.b startswith \\d\\"),
    ("a.b\n  glob\n  /home/*/.ssh/*", "a.b glob /home/*/.ssh/*"),
    ("a.b pmatch (/etc, /usr)", "a.b pmatch /etc,/usr"),
    ("a.b in (runc:[0:PARENT])", "a.b in runc:[0:PARENT]"),
    ("order and android", "(order & android)"),
]


@pytest.mark.parametrize(("text", "tree"), GOOD)
def test_good(text, tree):
    assert show(parse(text)) == tree


BAD = [
    ("", 0, "empty"),
    ("   ", 0, "empty"),
    ("a b", 2, "expected 'and', 'or'"),
    ("a and", 5, "the condition ends here"),
    ("a and or b", 6, "nothing stands before 'or'"),
    ("(a", 2, "expected ')'"),
    ("a)", 1, "expected 'and', 'or'"),
    ("a.b", 3, "expected an operator behind a.b"),
    ("a.b is c", 4, "expected an operator"),
    ("a.b ==== c", 6, "expected a value"),
    ("a.b = ", 6, "expected a value"),
    ("a.b = 'c", 6, "does not end"),
    ("a.b > x", 6, "expected a number"),
    ("a.b in", 6, "expected a list"),
    ("a.b in (c", 9, "expected ',' or ')'"),
    ("a.b in (c,)", 10, "expected a value"),
    ("a.b[ = c", 5, "expected a field argument"),
    ("a.b[x = c", 6, "expected ']'"),
    ("a.b regex x", 4, "not supported yet"),
    ("tolower(a.b) = c", 0, "not supported yet"),
    ("a.b = val(c.d)", 6, "not supported yet"),
    ("a.b = c & d", 8, "expected 'and', 'or'"),
    ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "parentheses"),
    ("a or " * MAX_CONDITION + "a", 0, "limit"),
]


@pytest.mark.parametrize(("text", "at", "message"), BAD, ids=[text[:20] for text, _, _ in BAD])
def test_bad(text, at, message):
    with pytest.raises(SyntaxFault) as caught:
        parse(text)
    assert message in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.at == at


@given(st.text(alphabet="ab.()[]='\" \n,<>!notandrix\\", max_size=60))
def test_any_text_parses_or_says_where_not(text):
    try:
        parse(text)
    except SyntaxFault as fault:
        found = fault
    else:
        return
    assert 0 <= found.at <= len(text)
    assert found.message


def test_many_negations_do_not_recurse():
    assert show(parse("not " * 10_000 + "a")) == "a"
