"""The HTTP server: uvicorn with our limits, that ends in order and takes up new certificates."""

from __future__ import annotations

import logging
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from keelwatch.hub.certificate_reload import Reload
from keelwatch.hub.settings import HubSettings

_log = logging.getLogger(__name__)
_STOP_SECONDS = 20


class Server(uvicorn.Server):
    """Uvicorn, telling followers to end as soon as a signal comes rather than when they have."""

    def __init__(
        self, settings: HubSettings, app: FastAPI, tls: tuple[Path, Path] | None, reload: Reload | None
    ) -> None:
        host, port = settings.address
        self._app = app
        self._reload = reload
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=str(tls[1]) if tls else None,
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

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, in the thread that serves."""
        if self._reload is not None and self.config.ssl is not None:
            self._reload.tick(self.config.ssl)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: object) -> None:
        """A signal came. Uvicorn's own handler would raise it again behind us, before all is stored."""
        del frame
        _log.info("stopping (signal %d): storing what was received", sig)
        self._app.state.stopping.set()
        self.should_exit = True
