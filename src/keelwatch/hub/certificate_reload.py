"""Takes up a server certificate that was replaced on disk, without a restart."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0
RENEW_SECONDS = 3600.0


class Reload:
    """Called now and then by the thread that serves: handshakes are made there, so none meets a half change.

    `renew` makes a new certificate if it is time for one; connections that are open keep theirs.
    """

    def __init__(self, cert: Path, key: Path, renew: Callable[[], bool] | None = None) -> None:
        self._cert = cert
        self._key = key
        self._renew = renew
        self._seen = self._mark()
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._renew_at = time.monotonic() + RENEW_SECONDS

    def tick(self, context: ssl.SSLContext) -> None:
        """Look, if it is time to."""
        now = time.monotonic()
        if self._renew is not None and now >= self._renew_at:
            self._renew_at = now + RENEW_SECONDS
            self._make(self._renew)
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self.look(context)

    def look(self, context: ssl.SSLContext) -> None:
        """Load the files into `context` if they changed and belong together; else the old ones go on."""
        mark = self._mark()
        if mark == self._seen:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._cert, self._key)
            context.load_cert_chain(self._cert, self._key)
        except OSError as error:  # ssl.SSLError is one; perhaps only one of both has been replaced yet
            _log.warning("the certificate %s is not taken up: %s", self._cert, error)
            return
        self._seen = mark
        _log.info("the certificate %s was taken up", self._cert)

    def _make(self, renew: Callable[[], bool]) -> None:
        try:
            renew()
        except (OSError, ValueError) as error:
            _log.warning("no new server certificate: %s", error)

    def _mark(self) -> tuple[tuple[int, int], ...]:
        found = []
        for path in (self._cert, self._key):
            try:
                status = path.stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)
