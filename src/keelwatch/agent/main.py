"""The agent's main: load the rules, start the node's parts, run until told to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading

from keelwatch.agent.health import Health
from keelwatch.agent.metrics import serve
from keelwatch.agent.node import Agent
from keelwatch.agent.readings import readings, rule_readings
from keelwatch.agent.rules_watch import RulesWatch
from keelwatch.agent.settings import AgentSettings, SettingsError
from keelwatch.detect import RuleErrors, RuleSet
from keelwatch.detect.reload import RuleFiles
from keelwatch.kit.limits import raise_open_files
from keelwatch.kit.memory import give_back_large_blocks

log = logging.getLogger(__name__)
EXIT_USAGE = 2
MISSING = (
    "no --token-file given: without the agent's token the hub accepts nothing\n"
    "The hub makes one at its first start: agent.token in its --data folder."
)


def run_agent(settings: AgentSettings) -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    give_back_large_blocks()
    raise_open_files()
    try:
        settings.check()
        files = _rule_files(settings)
        agent = _made(settings, files.rules)
    except (RuleErrors, SettingsError) as errors:
        print(errors, file=sys.stderr)
        return EXIT_USAGE
    for warning in files.rules.warnings:
        log.warning("%s", warning)
    closing = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _close(closing, agent))
    keeping = agent.start()
    watch = RulesWatch(files, agent.pipeline.take, keeping.tell)
    agent.run(watch.start, watch.stop)
    _serve_metrics(agent, Health(agent, keeping), files)
    log.info(
        "agent of node %s is up: %d rules, sensor %s, hub %s",
        settings.node, len(files.rules.rules), "on" if agent.sensor else "off", settings.hub,
    )  # fmt: skip
    keeping.run(closing)
    with contextlib.suppress(Exception):
        keeping.announce("agent_stopped", agent.host)
    agent.stop()
    return 0


def _made(settings: AgentSettings, rules: RuleSet) -> Agent:
    if settings.token_file is None:
        raise SettingsError(MISSING)
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Agent(settings, rules)
    except OSError as error:
        what = f"--data {settings.data}: {error.strerror or error}"
        raise SettingsError(f"{what}; the spool must be kept there, and the agent needs root") from error


def _serve_metrics(agent: Agent, health: Health, files: RuleFiles) -> None:
    listen = agent.settings.metrics_listen
    if not listen:
        return
    try:
        stop = serve(listen, [*readings(agent), *rule_readings(files)], health.alive, health.ready)
    except OSError as error:
        log.warning("no metrics: cannot listen on %s: %s", listen, error.strerror or error)
    else:
        agent.run(lambda: None, stop)


def _close(closing: threading.Event, agent: Agent) -> None:
    closing.set()
    agent.catalog.changed.set()


def _rule_files(settings: AgentSettings) -> RuleFiles:
    return RuleFiles(settings.rules, default_rules=settings.default_rules, fallback=settings.rules_fallback)
