"""Puts the hub's CA into a ConfigMap, from which agents take it: a thread that looks now and then."""

from __future__ import annotations

import logging
import threading
from urllib.parse import quote

from keelwatch.inventory.client import Api, ApiError, UnreachableError

_log = logging.getLogger(__name__)
KEY = "ca.crt"
AGAIN_SECONDS = 30.0
LOOK_SECONDS = 600.0


class Publisher:
    """`configmap` is NAMESPACE/NAME; the ConfigMap must be there: the hub may not create any."""

    def __init__(self, api: Api, configmap: str, pem: str) -> None:
        namespace, _, name = configmap.partition("/")
        self._path = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps/{quote(name, safe='')}"
        self._api = api
        self._configmap = configmap
        self._pem = pem
        self.problem = "not published yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publish-ca", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is published stays."""
        self._stopping.set()

    def publish(self) -> bool:
        """Change the ConfigMap if it holds something else; return whether it was changed."""
        data = self._api.get(self._path).get("data") or {}
        if data.get(KEY) == self._pem:
            return False
        self._api.patch(self._path, {"data": {KEY: self._pem}})
        _log.info("published the CA in the ConfigMap %s", self._configmap)
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.publish()
            except (ApiError, UnreachableError) as error:
                self._failed(error)
                self._stopping.wait(AGAIN_SECONDS)
            else:
                self.problem = ""
                self._stopping.wait(LOOK_SECONDS)

    def _failed(self, error: Exception) -> None:
        self.problem = f"the CA is not published in the ConfigMap {self._configmap}: {error}"
        _log.warning("%s", self.problem)
