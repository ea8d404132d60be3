"""Every field, cause, parameter and metric is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import keelwatch.hub.app  # its import registers the hub's metrics
import keelwatch.hub.request_log
from keelwatch.console.api.parameters import DESCRIPTIONS
from keelwatch.model.gap import CAUSES
from keelwatch.query.records import SHAPES

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def named(page: str) -> set[str]:
    return set(re.findall(r"`([A-Za-z0-9_]+)`", (DOCS / page).read_text()))


@pytest.mark.parametrize("table", SHAPES)
def test_every_field(table: str) -> None:
    assert set(SHAPES[table].columns) <= named("records.md")


def test_every_cause_and_no_other() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (DOCS / "gaps.md").read_text(), re.MULTILINE)
    assert table == list(CAUSES)


def test_every_parameter() -> None:
    assert DESCRIPTIONS.keys() <= named("api.md")


def test_every_metric_of_the_hub() -> None:
    assert keelwatch.hub.request_log.REQUESTS in REGISTRY._collector_to_names
    names = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in REGISTRY.collect()
        if metric.name.startswith("keelwatch_")
    }
    assert names
    assert names <= named("metrics.md")


def test_every_metric_of_the_agent() -> None:
    source = (Path(__file__).parents[3] / "src/keelwatch/agent/readings.py").read_text()
    for kind, name in re.findall(r'_(counter|gauge)\(\s*"([a-z_]+)"', source):
        suffix = "_total" if kind == "counter" else ""
        assert f"keelwatch_agent_{name}{suffix}" in named("metrics.md")
