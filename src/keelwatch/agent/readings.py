"""What the agent's /metrics show, each read from the part that knows it."""

from __future__ import annotations

from collections.abc import Callable

from keelwatch.agent.metrics import Reading, Value
from keelwatch.agent.node import Agent
from keelwatch.detect.reload import RuleFiles

PREFIX = "keelwatch_agent_"


def _counter(name: str, meaning: str, read: Callable[[], Value], labels: tuple[str, ...] = ()) -> Reading:
    return Reading(PREFIX + name, meaning, read, labels)


def _gauge(name: str, meaning: str, read: Callable[[], Value], labels: tuple[str, ...] = ()) -> Reading:
    return Reading(PREFIX + name, meaning, read, labels, gauge=True)


def readings(agent: Agent) -> list[Reading]:
    """Every metric of a running agent. Documented in docs/reference/metrics.md."""
    return [*_events(agent), *_shipping(agent), *_logs(agent)]


def rule_readings(files: RuleFiles) -> list[Reading]:
    """Metrics of the rules in force."""
    return [
        _gauge("rules", "Rules that are loaded", lambda: len(files.rules.rules)),
        _gauge("rules_problem", "1 while changed rule files are refused", lambda: int(bool(files.problem))),
        _counter("rules_reloads", "Times that changed rule files were taken up", lambda: files.reloads),
        _counter("rules_refused", "Times that changed rule files were refused", lambda: files.refused),
    ]


def _events(agent: Agent) -> list[Reading]:
    pipeline, catalog = agent.pipeline, agent.catalog
    return [
        _counter("events", "Events that went through detection", lambda: pipeline.events),
        _counter("alerts", "Alerts sent, repeats counted as one", lambda: pipeline.alerts),
        _counter(
            "left_out", "Everyday writes to volumes not stored one by one", lambda: pipeline.thinning.left_out
        ),
        _counter("unexamined", "New programs whose content was not examined", lambda: pipeline.unexamined),
        _counter(
            "lost_events",
            "Events lost before detection",
            lambda: agent.sensor.losses() if agent.sensor else {},
            labels=("class", "cause"),
        ),
        _gauge(
            "sensor_up",
            "1 while the sensor is loaded",
            lambda: int(agent.sensor is not None),
        ),
        _gauge("containers", "Containers that run now", catalog.running),
        _gauge("processes", "Processes in the tree", lambda: len(agent.tree)),
    ]


def _shipping(agent: Agent) -> list[Reading]:
    spool, sender = agent.spool, agent.sender
    return [
        _gauge("spool_bytes", "Bytes of the spool on disk", lambda: spool.size),
        _gauge("spool_limit_bytes", "Most the spool may hold", lambda: spool.limit),
        _gauge(
            "spool_waiting_batches",
            "Batches the hub has not acknowledged",
            lambda: {(table,): count for table, count in spool.waiting.items()},
            labels=("table",),
        ),
        _counter("spool_lost", "Lost by the spool", lambda: spool.losses, labels=("table", "cause")),
        _gauge(
            "hub_connected",
            "1 while the hub answers",
            lambda: int(sender.connected),
        ),
        _counter("requests", "Requests to the hub", lambda: sender.counters.requests),
        _counter("sent_batches", "Batches acknowledged by the hub", lambda: sender.counters.batches),
        _counter("sent_rows", "Rows acknowledged by the hub", lambda: sender.counters.rows),
        _counter("sent_bytes", "Bytes acknowledged by the hub", lambda: sender.counters.bytes),
        _counter("rejected_batches", "Batches the hub refused for good", lambda: sender.counters.rejected),
        _counter("unauthorised", "Requests refused for their token", lambda: sender.counters.unauthorised),
        _counter("hub_failures", "Exchanges with the hub that failed", lambda: sender.counters.failures),
    ]


def _logs(agent: Agent) -> list[Reading]:
    if agent.logs is None:
        return []
    logs = agent.logs
    return [
        _counter("log_bytes", "Bytes of log files read", lambda: logs.bytes),
        _counter("log_waits", "Times that logs waited for room in the spool", lambda: logs.waits),
        _gauge("log_lag_bytes", "Bytes of open log files not read yet", logs.lag),
    ]
