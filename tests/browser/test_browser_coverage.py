"""The page "Coverage": what is missing and why, hostile names included."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from browser_records import MINUTE, SECOND, gap, instance, lifecycle
from browser_visits import Hub, Visit

from keelwatch.model.identity import Identity

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=window.pwned=1>"
SHOTS = os.environ.get("KEELWATCH_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def observed(hub: Hub) -> None:
    """An agent that came half an hour ago, was down for a minute, and lost events for two seconds."""
    now = time.time_ns()
    node = Identity(cluster="prod", node="node-1")
    steady, evil = (
        instance("steady-1", workload="steady"),
        instance(f"evil-{HOSTILE}", workload=f"evil{HOSTILE}"),
    )
    hub.sender.rows("lifecycle", [
        lifecycle(node, now - 30 * MINUTE, "agent_started"),
        lifecycle(steady, now - 20 * MINUTE, "container_started"),
        lifecycle(steady, now - 8 * MINUTE, "container_started"),  # found again by the agent
        lifecycle(evil, now - 60 * MINUTE, "container_started"),
    ])  # fmt: skip
    down = {"what": "all", "cause": "agent_down", "unit": "intervals", "amount": 1}
    lost = {"what": "exec", "cause": "ring_full", "unit": "events", "amount": 9}
    spans = [
        {"from_time": now - 10 * MINUTE, "to_time": now - 9 * MINUTE, **down},
        {"from_time": now - 5 * MINUTE, "to_time": now - 5 * MINUTE + 2 * SECOND, **lost},
    ]
    hub.sender.rows("gaps", [gap(node, now) | span for span in spans])


@pytest.mark.usefixtures("observed")
def test_it_answers_what_is_missing_and_why(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/coverage?since=1h&namespace=shop")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "coverage.png"), full_page=True)
    text = page.locator("main").inner_text()
    assert "the agent was not there yet" in text
    assert "the agent was not running" in text
    assert f"evil{HOSTILE}" in text
    assert "No API server was asked what ran" in text
    row = page.locator("tr", has_text="steady").first.inner_text()
    assert "94.8" in row  # 19 of 20 minutes, less two seconds
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0
    assert not analyst.problems
    assert not analyst.foreign


@pytest.mark.usefixtures("observed")
def test_its_rows_and_scope_are_chosen_in_the_address(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/coverage?since=1h&by=node")
    assert page.locator("h2", has_text="By node").count() == 1
    page.get_by_label("One row each").select_option("team")
    page.wait_for_url("**by=team**")
    assert page.locator("tr", has_text="payments").count()
    answer = page.goto("/coverage?scope=a%20b%20c")
    assert answer is not None
    assert answer.status == 400
    assert "is not a requirement" in page.locator("[role=alert]").inner_text()


@pytest.mark.usefixtures("observed")
def test_the_keyboard_leads_there(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/gaps")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/coverage")
