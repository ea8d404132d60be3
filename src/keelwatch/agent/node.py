"""All parts of the agent, made once, started in order, stopped in reverse order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from keelwatch.agent.alive import Alive
from keelwatch.agent.enricher import Enricher
from keelwatch.agent.housekeeping import Housekeeping
from keelwatch.agent.late_identity import Completion
from keelwatch.agent.log_roots import LogRoots
from keelwatch.agent.logs import LogThread
from keelwatch.agent.outbox import Outbox
from keelwatch.agent.pipeline import Pipeline
from keelwatch.agent.pod_feed import InventoryThread
from keelwatch.agent.sensor import SensorThread
from keelwatch.agent.settings import AgentSettings
from keelwatch.agent.thinning import Thinning
from keelwatch.capture.logs import Follower
from keelwatch.capture.ring import Sensor, SensorConfig, SensorError
from keelwatch.detect import RuleSet
from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.drift import Examiner
from keelwatch.enrich.pod_identities import PodCache
from keelwatch.enrich.processes import ProcessTree
from keelwatch.enrich.provenance import FileHistory
from keelwatch.enrich.runtime import Runtimes
from keelwatch.model.identity import Identity
from keelwatch.model.observation import KINDS
from keelwatch.ship.client import HubClient
from keelwatch.ship.freeze import gap_drafts
from keelwatch.ship.sender import Sender
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)


class Agent:
    """Everything that runs on a node. `start` and `stop` are called once each."""

    def __init__(self, settings: AgentSettings, rules: RuleSet) -> None:
        self.settings = settings
        self.pods = PodCache(settings.data / "pods.json")
        self.catalog = Catalog(Runtimes(), settings.cluster, settings.node, self.pods)
        self.spool = Spool(settings.data / "spool", self.host, settings.spool_limit)
        self.outbox = Outbox(self.spool, Completion(self.pods, self.catalog))
        history = FileHistory()
        self.tree = ProcessTree()
        self.enricher = Enricher(self.tree, self.catalog, history)
        examiner = Examiner(settings.hash_limit)
        thinning = Thinning(everything=settings.all_writes)
        self.pipeline = Pipeline(self.enricher, self.catalog, history, examiner, rules, self.outbox, thinning)
        self.sender = Sender(self.spool, settings.hub, settings.token_file, settings.ca_file)
        client = HubClient(settings.hub, settings.token_file, settings.ca_file, connections=1)
        self.inventory = InventoryThread(client, settings.node, self.pods, self.catalog.refresh)
        self.logs = self._log_thread() if settings.logs else None
        self.alive = Alive(settings.data)
        self.sensor: SensorThread | None = None
        self.blind = "" if settings.sensor else "switched off by --no-sensor"  # why there is no sensor
        self._stops: list[Callable[[], None]] = []

    def _log_thread(self) -> LogThread:
        follower = Follower(self.spool.checkpoints(), self.host)
        return LogThread(self.spool, follower, self._log_roots(follower))

    def _log_roots(self, follower: Follower) -> LogRoots:
        return LogRoots(self.settings.log_roots, follower, self.host, self.pods.complete)

    @property
    def host(self) -> Identity:
        """The node's own identity."""
        return self.catalog.host

    def start(self) -> Housekeeping:
        """Start every thread; return what the main thread does."""
        self.run(self.sender.start, self.sender.stop)
        self.run(self.inventory.start, self.inventory.stop)
        self.run(self.outbox.start, self.outbox.stop)
        self.run(self.pipeline.start, self.pipeline.stop)
        self._start_sensor()
        self._tell_outage()
        self.catalog.scan()
        if self.logs is not None:
            self.run(self.logs.start, self.logs.stop)
        keeping = Housekeeping(
            self.catalog,
            self.outbox,
            self.pipeline,
            self.enricher,
            self.alive,
            self.sensor,
            self.logs,
            self.blind,
        )
        keeping.announce("agent_started", self.host)
        return keeping

    def stop(self) -> None:
        """Stop in reverse order: what produces before what ships."""
        for stop in reversed(self._stops):
            stop()
        self.spool.close()

    def run(self, start: Callable[[], None], stop: Callable[[], None]) -> None:
        """Start a part now, and stop it before those that were started earlier."""
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
            self.blind = str(error)
            return
        self.tree.seed()  # after the sensor is attached, so that no process falls between the two
        self.sensor = SensorThread(sensor, self.pipeline)
        self._stops.append(sensor.close)
        self.run(self.sensor.start, self.sensor.stop)

    def _tell_outage(self) -> None:
        """Say when nobody watched. It is durable before the first beat, which would make it forgotten."""
        down = self.alive.gap(self.host)
        if down is not None:
            self.spool.append(gap_drafts([down]))
