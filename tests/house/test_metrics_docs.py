"""The page on metrics, the Grafana dashboard and the alarms speak of metrics that the program really serves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stillhere.core.gate import GATE_ANSWERS
from stillhere.manager import SessionManager
from stillhere.prometheus import SessionCollector
from stillhere.readings import METRICS, Metric, sources_of
from stillhere.server.metrics import MetricsRoute, MirrorState, watch_mirrors
from stillhere.server.settings import load_settings

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = (ROOT / "docs" / "metrics.md").read_text("utf-8")
BOARD: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "grafana" / "stillhere.json").read_text("utf-8"))

SUFFIXES: Final = {"counter": "_total", "gauge": "", "histogram": ""}

NAMES: Final = re.compile(r"\b(?:stillhere|process)_[a-z_]+")


def with_mirrors() -> SessionManager:
    """Give a manager whose metrics tell of mirrors and a gate, too."""

    async def none() -> list[MirrorState]:
        return []

    manager = SessionManager("memory://")
    manager.metrics.gate.update(dict.fromkeys(GATE_ANSWERS, 0))
    watch_mirrors(manager.metrics, none)
    return manager


def all_metrics() -> list[Metric]:
    """List every metric, those of mirrors included."""
    return [metric for metric, _ in sources_of(with_mirrors())]


def served() -> set[str]:
    """List the names of all series that `/metrics` has."""
    route = MetricsRoute(with_mirrors(), load_settings({}))
    types = re.findall(r"^# TYPE (\w+) (\w+)$", generate_latest(route._registry).decode(), re.MULTILINE)
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {f"{name}{part}" for name, kind in types for part in parts.get(kind, ("",))}


def panels() -> list[dict[str, Any]]:
    """List the dashboard's panels that show something."""
    return [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """List what the dashboard asks for."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
def test_every_metric_is_in_the_table(metric: Metric) -> None:
    """Name, kind, labels and meaning stand in docs/metrics.md as they are in the code."""
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    assert f"| `{metric.name}{SUFFIXES[metric.kind]}` | {metric.kind} | {labels} | {metric.help} |" in DOCUMENT


def test_the_table_has_no_metric_that_is_none() -> None:
    """A metric that was removed is gone from docs/metrics.md, too."""
    table = re.findall(r"^\| `(stillhere_\w+)` \|", DOCUMENT, re.MULTILINE)
    assert table == [f"{metric.name}{SUFFIXES[metric.kind]}" for metric in all_metrics()]


def test_every_word_of_a_label_is_explained() -> None:
    """Outcomes and routes that a label can have stand in docs/metrics.md."""
    registry = CollectorRegistry()
    registry.register(SessionCollector(with_mirrors()))
    for word in re.findall(r'(?:outcome)="(\w+)"', generate_latest(registry).decode()):
        assert f"`{word}`" in DOCUMENT, word


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_asks_for_what_is_served(expression: str) -> None:
    """Every expression names series that the program has."""
    assert set(NAMES.findall(expression)) <= served()
    assert NAMES.search(expression) is not None


def test_the_dashboard_shows_every_metric() -> None:
    """No metric is without a panel."""
    asked = " ".join(expressions())
    assert [metric.name for metric in all_metrics() if metric.name not in asked] == []


def test_the_alarms_ask_for_what_is_served() -> None:
    """Every alarm that docs/metrics.md suggests names series that the program has."""
    rules = re.findall(r"^ +expr: (.*)$", DOCUMENT, re.MULTILINE)
    assert len(rules) == DOCUMENT.count("- alert: ") == 9
    for rule in rules:
        names = set(NAMES.findall(rule))
        assert names, rule
        assert names <= served(), rule


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """It has a title, a schema, ids that are unique, panels that do not overlap, a title and a sentence each, no data source of ours."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert (BOARD["title"], BOARD["uid"], BOARD["schemaVersion"]) == ("stillhere", "stillhere", 41)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_settings_and_metrics_agree() -> None:
    """What may read metrics is told for each value of the setting, and every metric has a sentence."""
    for access in ("loopback", "token", "open", "off"):
        assert f"| `{access}` | " in DOCUMENT
    assert all(metric.help.endswith(".") for metric in METRICS)
