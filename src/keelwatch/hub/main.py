"""The hub: opens the store, makes what is missing, serves until SIGTERM, ends with all it took stored."""

from __future__ import annotations

import logging
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI

from keelwatch.access.refresh import AccessWatch
from keelwatch.audit.writer import AuditSettings
from keelwatch.console.auth import Auth
from keelwatch.console.history import History
from keelwatch.detect.reload import RuleFiles
from keelwatch.hub.alive import Alive
from keelwatch.hub.app import Parts, create_app
from keelwatch.hub.audit import AuditService, AuditSources
from keelwatch.hub.certificate_reload import Reload
from keelwatch.hub.cluster import connect_cluster, make_trust
from keelwatch.hub.evidence import EvidenceService, policy_of
from keelwatch.hub.invalid_lines import InvalidLines
from keelwatch.hub.inventory import InventoryService, inventory_service
from keelwatch.hub.pods import Pods, unknown
from keelwatch.hub.rules import AgentRules, Rules
from keelwatch.hub.server import Server
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.hub.tls import AutoTls
from keelwatch.ingest.auth import Tokens, new_token, token_from_file
from keelwatch.ingest.intake import Intake, IntakeSettings
from keelwatch.inventory.client import Api
from keelwatch.store.chdb import EmbeddedDatabase, Limits
from keelwatch.store.clickhouse import ServerDatabase
from keelwatch.store.database import Database
from keelwatch.store.engines import Engines
from keelwatch.store.migrate import migrate

_log = logging.getLogger(__name__)


class Service(Protocol):
    """A part of the hub with threads. They are stopped in the order in which they were started."""

    def start(self) -> None:
        """Begin; called once."""

    def stop(self) -> None:
        """Finish what was begun, then end."""


def run_hub(settings: HubSettings) -> None:
    """Serve until SIGTERM or SIGINT; raise SettingsError, SchemaError or OSError if it cannot start."""
    settings.check()
    _prepare(settings)
    tokens = load_tokens(settings, _announce)
    database, engines = open_database(settings)
    try:
        migrate(database, engines)
        _serve(settings, database, tokens)
    finally:
        database.close()


def open_database(settings: HubSettings) -> tuple[Database, Engines]:
    """The store the settings name."""
    if settings.clickhouse:
        return ServerDatabase(settings.clickhouse), Engines(settings.clickhouse_cluster)
    limits = Limits(server_memory=settings.memory)
    return EmbeddedDatabase(settings.data / "store", limits), Engines()


def load_tokens(settings: HubSettings, announce: Callable[[str], None]) -> Tokens:
    """The tokens in the data folder and in the files named; `announce` a new admin token."""
    tokens = Tokens(settings.data / "tokens.json")
    if settings.agent_service_account and settings.agent_token_file is None:
        tokens.drop("agent")
    else:
        tokens.add("agent", "agent", token_from_file(settings.agent_token))
    if settings.viewer_token_file:
        tokens.add("viewer", "viewer", token_from_file(settings.viewer_token_file))
    if settings.analyst_token_file:
        tokens.add("analyst", "analyst", token_from_file(settings.analyst_token_file))
    if settings.audit_token_file:
        tokens.add("audit", "audit", token_from_file(settings.audit_token_file))
    if settings.admin_token_file:
        tokens.add("admin", "admin", token_from_file(settings.admin_token_file))
    elif not tokens.has("admin"):
        token = new_token()
        tokens.add("admin", "admin", token)
        announce(token)
    return tokens


def _announce(token: str) -> None:
    print(f"log-in token (shown this once): {token}", file=sys.stderr, flush=True)


def _prepare(settings: HubSettings) -> None:
    """Make the data folder, and give up root if that is asked for."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.user or os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(settings.user)
    except KeyError as error:
        raise SettingsError(f"--user {settings.user!r}: there is no such user") from error
    _hand_over(settings.data, account.pw_uid, account.pw_gid)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _hand_over(folder: Path, uid: int, gid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def _serve(settings: HubSettings, database: Database, tokens: Tokens) -> None:
    limits = IntakeSettings(reserve=settings.disk_reserve, cluster=settings.cluster)
    intake = Intake(database, settings.data, limits)
    auth = Auth(tokens, settings.data / "session.key", settings.tls)
    history = History(database, intake)
    tls, api = _auto_tls(settings), connect_cluster(settings)
    app = create_app(Parts(database, intake, history, tokens, auth, settings.data))
    app.state.authority = tls.authority if tls else None
    trust = make_trust(settings, api, tls, intake.recorder)
    app.state.reviewer, app.state.impostors = trust.reviewer, trust.impostors
    history.problems.append(trust.problems)
    rules = Rules(_rule_files(settings), intake.recorder, settings.cluster)
    history.own_problems += [rules.problems, AgentRules(database).problems]
    inventory = inventory_service(settings, api, database, intake.recorder)
    audit = audit_service(settings, database, intake, rules, api, inventory)
    app.state.audit = audit.writer
    history.problems.append(audit.problems)
    app.state.inventory = inventory.inventory if inventory else None
    if inventory:
        history.problems.append(inventory.problems)
        history.objects = inventory.objects
    evidence = EvidenceService(database, intake, policy_of(settings))
    app.state.coverage = evidence.coverage
    services: list[Service] = [
        intake,
        evidence,
        InvalidLines(database, intake),
        AccessWatch(database, intake),
        rules,
        audit,
        *present(inventory),
        *trust.services(),
        Alive(settings.data / "alive", intake.recorder),
    ]
    for service in services:
        service.start()
    try:
        _log.info("serving at %s://%s", "https" if settings.tls else "http", settings.listen)
        _server(settings, app, tls).run()
    finally:
        for service in services:
            service.stop()


def _rule_files(settings: HubSettings) -> RuleFiles:
    return RuleFiles(settings.rules, default_rules=settings.default_rules, fallback=settings.rules_fallback)


def audit_service(
    settings: HubSettings,
    database: Database,
    intake: Intake,
    rules: Rules,
    api: Api | None,
    inventory: InventoryService | None,
) -> AuditService:
    """What takes audit events; rules judge them, and the API server is asked what it dropped."""
    sources = AuditSources(settings.audit_logs, (lambda: api.text_anew("/metrics")) if api else None)
    pods = Pods(database, settings.cluster, inventory.lives if inventory else unknown)
    judged = AuditSettings(rules, settings.cluster, pods)
    return AuditService(database, intake.recorder, settings.data, judged, sources)


def _auto_tls(settings: HubSettings) -> AutoTls | None:
    if not settings.tls_auto:
        return None
    tls = AutoTls(settings.data / "tls", settings.tls_names)
    _log.info("the CA's SHA-256 is %s; GET /v1/ca hands it out", tls.authority.fingerprint)
    return tls


def _server(settings: HubSettings, app: FastAPI, tls: AutoTls | None) -> Server:
    if tls is not None:
        return Server(settings, app, (tls.cert, tls.key), Reload(tls.cert, tls.key, tls.renew))
    if settings.tls_cert is not None and settings.tls_key is not None:
        files = (settings.tls_cert, settings.tls_key)
        return Server(settings, app, files, Reload(*files))
    return Server(settings, app, None, None)


def present(*services: Service | None) -> list[Service]:
    """Those that there are."""
    return [service for service in services if service is not None]
