"""The hub: opens the store, makes what is missing, serves until SIGTERM, ends with all it took stored."""

from __future__ import annotations

import logging
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from keelwatch.console.auth import Auth
from keelwatch.console.history import History
from keelwatch.hub.alive import Alive
from keelwatch.hub.app import Parts, create_app
from keelwatch.hub.invalid_lines import InvalidLines
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.ingest.auth import Tokens, new_token, token_from_file
from keelwatch.ingest.intake import Intake, IntakeSettings
from keelwatch.store.chdb import EmbeddedDatabase, Limits
from keelwatch.store.clickhouse import ServerDatabase
from keelwatch.store.database import Database
from keelwatch.store.engines import Engines
from keelwatch.store.migrate import migrate

_log = logging.getLogger(__name__)

_STOP_SECONDS = 20


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
    tokens.add("agent", "agent", token_from_file(settings.agent_token))
    if settings.viewer_token_file:
        tokens.add("viewer", "viewer", token_from_file(settings.viewer_token_file))
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
    intake = Intake(database, settings.data, IntakeSettings(reserve=settings.disk_reserve))
    auth = Auth(tokens, settings.data / "session.key", settings.tls)
    history = History(database, intake)
    app = create_app(Parts(database, intake, history, tokens, auth, settings.data))
    alive = Alive(settings.data / "alive", intake.recorder)
    invalid = InvalidLines(database, intake)
    intake.start()
    alive.start()
    invalid.start()
    try:
        _log.info("serving at %s://%s", "https" if settings.tls else "http", settings.listen)
        Server(settings, app).run()
    finally:
        intake.stop()
        invalid.stop()
        alive.stop()


class Server(uvicorn.Server):
    """Uvicorn, telling followers to end as soon as a signal comes rather than when they have."""

    def __init__(self, settings: HubSettings, app: object) -> None:
        host, port = settings.address
        self._app = app
        super().__init__(
            uvicorn.Config(
                app,  # type: ignore[arg-type]  # uvicorn's own union does not name FastAPI
                host=host,
                port=port,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
                timeout_keep_alive=75,
                http="h11",  # the one that bounds the size of headers
                h11_max_incomplete_event_size=64 << 10,
                backlog=1024,
            )
        )

    def handle_exit(self, sig: int, frame: object) -> None:
        """A signal came. Uvicorn's own handler would raise it again behind us, before all is stored."""
        del frame
        _log.info("stopping (signal %d): storing what was received", sig)
        self._app.state.stopping.set()  # type: ignore[attr-defined]  # FastAPI's state is open
        self.should_exit = True
