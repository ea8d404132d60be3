"""The agent's main: makes the parts, starts their threads in order, stops them in reverse order."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from keelwatch.agent.alive import Alive
from keelwatch.agent.enricher import Enricher
from keelwatch.agent.housekeeping import Housekeeping
from keelwatch.agent.logs import LogThread
from keelwatch.agent.metrics import serve
from keelwatch.agent.outbox import Outbox
from keelwatch.agent.pipeline import Pipeline
from keelwatch.agent.readings import readings
from keelwatch.agent.settings import AgentSettings
from keelwatch.agent.watch import SensorThread
from keelwatch.capture.logs import Follower
from keelwatch.capture.ring import Sensor, SensorConfig, SensorError
from keelwatch.detect import RuleErrors, RuleSet, default_rules_dir, load_rules
from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.content import Examiner
from keelwatch.enrich.processes import ProcessTree
from keelwatch.enrich.provenance import FileHistory
from keelwatch.enrich.runtime import Runtimes
from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.model.observation import KINDS
from keelwatch.ship.sender import Sender
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)
EXIT_USAGE = 2


class Agent:
    """Everything that runs on a node. `start` and `stop` are called once each."""

    def __init__(self, settings: AgentSettings, rules: RuleSet) -> None:
        self.settings = settings
        self.catalog = Catalog(Runtimes(), settings.cluster, settings.node)
        self.spool = Spool(settings.data / "spool", self.host, settings.spool_limit)
        self.outbox = Outbox(self.spool)
        history = FileHistory()
        self.tree = ProcessTree()
        self.enricher = Enricher(self.tree, self.catalog, history)
        examiner = Examiner(settings.hash_limit)
        self.pipeline = Pipeline(self.enricher, self.catalog, history, examiner, rules, self.outbox)
        self.sender = Sender(self.spool, settings.hub, settings.token_file, settings.ca_file)
        self.logs = (
            LogThread(self.spool, Follower(self.spool.checkpoints(), self.host)) if settings.logs else None
        )
        self.alive = Alive(settings.data)
        self.sensor: SensorThread | None = None
        self._stops: list[Callable[[], None]] = []

    @property
    def host(self) -> Identity:
        """The node's own identity."""
        return self.catalog.host

    def start(self) -> Housekeeping:
        """Start every thread; return what the main thread does."""
        down = self.alive.gap(self.host)
        self._run(self.outbox.start, self.outbox.stop)
        self._run(self.sender.start, self.sender.stop)
        self._run(self.pipeline.start, self.pipeline.stop)
        self._start_sensor()
        self.catalog.scan()
        if self.logs is not None:
            self._run(self.logs.start, self.logs.stop)
        keeping = Housekeeping(
            self.catalog, self.outbox, self.pipeline, self.enricher, self.alive, self.sensor, self.logs
        )
        keeping.announce("agent_started", self.host)
        if down is not None:
            self.outbox.gap(down)
        self._serve_metrics()
        return keeping

    def stop(self) -> None:
        """Stop in reverse order: what produces before what ships."""
        for stop in reversed(self._stops):
            stop()
        self.spool.close()

    def _run(self, start: Callable[[], None], stop: Callable[[], None]) -> None:
        start()
        self._stops.append(stop)

    def _start_sensor(self) -> None:
        """Without the sensor the agent goes on with what works, and says so in the record."""
        if not self.settings.sensor:
            return
        config = SensorConfig(
            attach=self.settings.attach,
            kinds=frozenset(KINDS).difference(self.settings.off),
            host=self.settings.host,
            environment=self.settings.environment,
        )
        try:
            sensor = Sensor.open(config)
        except SensorError as error:
            log.error("the sensor is off, only logs are collected: %s", error)  # noqa: TRY400  # the text says it all
            now = clock.now()
            self.outbox.gap(Gap("all", "sensor_off", now, now, 1, "intervals", self.host, str(error)[:1000]))
            return
        self.tree.seed()  # after the sensor is attached, so that no process falls between the two
        self.sensor = SensorThread(sensor, self.pipeline)
        self._stops.append(sensor.close)
        self._run(self.sensor.start, self.sensor.stop)

    def _serve_metrics(self) -> None:
        listen = self.settings.metrics_listen
        if not listen:
            return
        try:
            self._stops.append(serve(listen, readings(self)))
        except OSError as error:
            log.warning("no metrics: cannot listen on %s: %s", listen, error.strerror or error)


def run_agent(settings: AgentSettings) -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        rules = load_rules(_rule_paths(settings))
    except RuleErrors as errors:
        print(errors, file=sys.stderr)
        return EXIT_USAGE
    for warning in rules.warnings:
        log.warning("%s", warning)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    closing = threading.Event()
    agent = Agent(settings, rules)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _close(closing, agent))
    keeping = agent.start()
    log.info(
        "agent of node %s is up: %d rules, sensor %s, hub %s",
        settings.node, len(rules.rules), "on" if agent.sensor else "off", settings.hub,
    )  # fmt: skip
    keeping.run(closing)
    with contextlib.suppress(Exception):
        keeping.announce("agent_stopped", agent.host)
    agent.stop()
    return 0


def _close(closing: threading.Event, agent: Agent) -> None:
    closing.set()
    agent.catalog.changed.set()


def _rule_paths(settings: AgentSettings) -> list[Path]:
    shipped = [default_rules_dir()] if settings.default_rules else []
    return [*shipped, *settings.rules]
