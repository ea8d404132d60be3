"""A place in a condition is found in the file, whichever way YAML writes the condition."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from keelwatch.detect.load import LOADER
from keelwatch.detect.text import Document, text_of

STYLES = {
    "plain": "- k: one\n    two HERE three\n",
    "plain with an empty line": "- k: one\n\n    two HERE three\n",
    "folded": "- k: >\n    one\n    two HERE\n    three\n",
    "folded and stripped": "- k: >-\n    one\n\n    two HERE\n",
    "folded with a comment": "- k: > # why\n    one\n    HERE\n",
    "literal": "- k: |\n    one\n      two HERE\n",
    "literal with indentation": "- k: |2\n    one\n    two HERE\n",
    "single": "- k: 'it''s\n    two HERE'\n",
    "double": '- k: "a \\"quoted\\" \\x41\n    two HERE"\n',
    "double with a joined line": '- k: "one \\\n    two HERE"\n',
    "after an alias": "- a: &x 1\n- k: >\n    é😀 two HERE\n",
    "windows": "- k: >\r\n    one\r\n    two HERE\r\n",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES.keys())
def test_place(text):
    document = Document("f.yaml", text)
    root = yaml.compose(text, Loader=LOADER)
    node = next(value for item in root.value for key, value in item.value if key.value == "k")
    scalar = text_of(node, document)
    place = scalar.place(scalar.value.index("HERE"))
    line = text.splitlines()[place.line - 1]
    assert line[place.column - 1 :].startswith("HERE")


words = st.lists(st.text(alphabet="ab\"'\\é#:{ ", min_size=1, max_size=8), min_size=1, max_size=6)


@settings(max_examples=200)
@given(words, st.sampled_from(["'", '"', "|", ">", None]))
def test_every_character_is_found_again(lines, style):
    written = yaml.dump(
        [{"k": " ".join(lines).strip() or "x"}], default_style=style, width=12, allow_unicode=True
    )
    root = yaml.compose(written, Loader=LOADER)
    node = root.value[0].value[0][1]
    document = Document("f", written)
    scalar = text_of(node, document)
    for offset, character in enumerate(scalar.value):
        if character.isspace():
            continue
        place = scalar.place(offset)
        found = written.splitlines()[place.line - 1][place.column - 1 :]
        assert found.startswith((character, "\\")), (written, offset, character)


def test_places_in_joined_texts():
    text = "- k: one\n- k: two\n"
    document = Document("f", text)
    first, second = (text_of(item.value[0][1], document) for item in yaml.compose(text, Loader=LOADER).value)
    joined = first + second
    assert joined.value == "one two"
    assert [(p.line, p.column) for p in map(joined.place, (0, 4, 6))] == [(1, 6), (2, 6), (2, 8)]
