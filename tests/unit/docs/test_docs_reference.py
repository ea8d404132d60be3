"""The reference is what the code says: an undocumented column, cause, metric or call fails here."""

import re

import pytest

from keelwatch.agent.records import alert_row, lifecycle_row
from keelwatch.model.event import Alert, Event
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.model.observation import KINDS
from keelwatch.model.process import Process
from tools.reference import TARGET, pages

RECORDS = TARGET / "records.md"


@pytest.mark.parametrize("name", pages())
def test_a_page_made_from_the_code_is_current(name):
    assert (TARGET / name).read_text("utf-8") == pages()[name], "run `make docs`"


def records() -> dict[str, dict]:
    event = Event(0, "exec", "execve", 0, Process(1, 1), Identity())
    return {
        "alerts": alert_row(Alert("", "", "", (), "", event)),
        "lifecycle": lifecycle_row(0, "", Identity(), {}, {}),
        "gaps": Gap("", "", 0, 0, 0, "", Identity()).columns(),
        "process": Process(1, 1).summary(),
    }


@pytest.mark.parametrize("record", records())
def test_every_field_is_documented(record):
    text = RECORDS.read_text("utf-8")
    documented = set(re.findall(r"`([a-z_0-9]+)`", "\n".join(re.findall(r"^\|[^|]*", text, re.MULTILINE))))
    assert set(records()[record]) <= documented


def test_every_kind_of_event_is_documented():
    text = RECORDS.read_text("utf-8")
    assert all(f"`{kind}`" in text for kind in KINDS)


def test_links_between_documents_lead_somewhere():
    root = TARGET.parent.parent
    documents = [*root.glob("*.md"), *root.glob("docs/**/*.md")]
    links = [
        (page, link)
        for page in documents
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    ]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
