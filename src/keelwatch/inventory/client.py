"""The one way to the API server: JSON in, JSON out, watches line by line.

The `kubernetes` package knows where the server is and how to authenticate (kubeconfig with its
plugins, or the pod's own token, which it reads again when it changes). Its typed models are not
used: they would need gigabytes for a large cluster (docs/decisions/0008-kubernetes-client.md).
Every call can be made by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
import yaml

from keelwatch import __version__

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
MAX_ANSWER = 256 << 20
"""Bytes of an answer: a page of 500 objects near etcd's limit of 1.5 MiB is longer, but no real one is."""
MAX_LINE = 8 << 20
"""Bytes of a line of a watch: one object, which etcd bounds to 1.5 MiB before JSON and managed fields."""
_MAX_ERROR = 64 << 10
_CHUNK = 64 << 10
_PARALLEL = 32  # connections that are kept: a watch for each kind, and some questions


class ApiError(RuntimeError):
    """The API server's refusal: HTTP status, Kubernetes' reason ("Expired", "Forbidden"), its message.

    `retry_after` is seconds, 0 where the server did not say.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class UnreachableError(RuntimeError):
    """The API server could not be reached, or its answer broke off."""


class ConnectError(ValueError):
    """The kubeconfig, or the pod's environment, does not say how to reach an API server."""


class Api:
    """Connections to one API server, or to several behind one address. `server` is its URL."""

    def __init__(
        self, server: str, make_pool: Callable[[], urllib3.PoolManager], token: Callable[[], str]
    ) -> None:
        self.server = server.rstrip("/")
        self._make_pool = make_pool
        self._pool = make_pool()
        self._token = token

    def get(
        self, path: str, query: Mapping[str, str] | None = None, timeout: float = READ_SECONDS
    ) -> dict[str, Any]:
        """Return the JSON object at `path`; names in it must be quoted for a URL.

        `timeout` is seconds without a byte. Raise ApiError or UnreachableError.
        """
        with self._answer("GET", path, query, None, timeout) as response:
            return _object(_whole(response))

    def text(self, path: str, query: Mapping[str, str] | None = None, timeout: float = READ_SECONDS) -> str:
        """Return what `path` answers where that is not JSON, for example /metrics."""
        with self._answer("GET", path, query, None, timeout, accept="text/plain") as response:
            return _whole(response).decode("utf-8", "replace")

    def text_anew(self, path: str) -> str:
        """As `text`, over a connection of its own: behind a load balancer that is any of the servers."""
        with _failures(self.server):
            pool = self._make_pool()
        try:
            return Api(self.server, lambda: pool, self._token).text(path)
        finally:
            pool.clear()

    def post(self, path: str, body: Mapping[str, Any], timeout: float = READ_SECONDS) -> dict[str, Any]:
        """Create `body` at `path` and return the answer."""
        with self._answer("POST", path, None, body, timeout) as response:
            return _object(_whole(response))

    def patch(self, path: str, body: Mapping[str, Any], timeout: float = READ_SECONDS) -> dict[str, Any]:
        """Apply a JSON merge patch (RFC 7386) and return the object."""
        kind = "application/merge-patch+json"
        with self._answer("PATCH", path, None, body, timeout, content_type=kind) as response:
            return _object(_whole(response))

    def stream(
        self, path: str, query: Mapping[str, str] | None = None, timeout: float = READ_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """Yield the lines of a watch (`{"type", "object"}`) as they arrive, until the server ends it.

        A line of type ERROR is raised as ApiError: 410 "Expired" means list again. `timeout` is
        seconds without a byte, so it has to be longer than `timeoutSeconds` in `query`.
        """
        with self._answer("GET", path, query, None, timeout) as response:
            for line in _lines(response):
                event = _object(line)
                if event.get("type") == "ERROR":
                    raise _refusal(event.get("object"), 500)
                yield event

    def close(self) -> None:
        """Give up the idle connections."""
        self._pool.clear()

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        timeout: float,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        headers = self._headers() | {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        with _failures(self.server):
            response = self._pool.request(
                method,
                self.server + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else orjson.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout),
                preload_content=False,
                redirect=False,
            )
            try:
                if response.status not in (200, 201):
                    raise _refused(response)
                yield response
            finally:
                response.close()  # a connection whose answer was read to its end is back in the pool by now

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"keelwatch/{__version__}"}
        token = self._token()
        if token:
            headers["Authorization"] = token
        return headers


def connect(kubeconfig: Path | None = None, in_cluster: bool = False) -> Api:
    """The API server that a kubeconfig names, or that of the cluster this pod runs in.

    Nothing is asked of it yet. Raise ConnectError.
    """
    # Loaded by those who have a cluster: it takes 20 MB and 0.3 s.
    from kubernetes import config
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject

    configuration = Configuration()
    try:
        if in_cluster:
            config.load_incluster_config(configuration)
        else:
            name = None if kubeconfig is None else str(kubeconfig)
            config.load_kube_config(name, client_configuration=configuration)
        configuration.retries = False  # whoever asks knows when to ask again
        configuration.connection_pool_maxsize = _PARALLEL
        return Api(
            configuration.host,
            lambda: RESTClientObject(configuration).pool_manager,
            lambda: _token(configuration),
        )
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        where = "this pod's environment" if in_cluster else str(kubeconfig or "the default kubeconfig")
        raise ConnectError(f"{where} does not lead to an API server: {error}") from error


def _token(configuration: Any) -> str:
    """The Authorization header of now: a file that is read again, or what a plugin answers."""
    try:
        return str(configuration.auth_settings().get("BearerToken", {}).get("value") or "")
    except Exception as error:  # the package raises whatever its plugins do
        raise UnreachableError(f"no token for {configuration.host}: {error}") from error


@contextmanager
def _failures(server: str) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"{server}: {error}") from error


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    body = response.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise UnreachableError(f"an answer has more than {MAX_ANSWER} bytes; ask for smaller pages")
    return body


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = bytearray()
    for chunk in response.stream(_CHUNK):
        rest += chunk
        if b"\n" in chunk:
            *lines, last = rest.split(b"\n")
            yield from (bytes(line) for line in lines if line.strip())
            rest = last
        if len(rest) > MAX_LINE:
            raise UnreachableError(f"a line of a watch has more than {MAX_LINE} bytes")
    if rest.strip():
        raise UnreachableError("a watch broke off in the middle of a line")


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreachableError(f"an answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreachableError("an answer is not a JSON object")
    return value


def _refused(response: urllib3.BaseHTTPResponse) -> ApiError:
    after = response.headers.get("retry-after", "")
    text = response.read(_MAX_ERROR)
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = {"message": text.decode("utf-8", "replace")[:500]}
    return _refusal(told, response.status, float(after) if after.isdecimal() else 0.0)


def _refusal(told: object, status: int, retry_after: float = 0.0) -> ApiError:
    """An ApiError of a Kubernetes Status object, or of whatever was sent instead."""
    fields = told if isinstance(told, dict) else {}
    code = fields.get("code")
    return ApiError(
        code if isinstance(code, int) else status,
        str(fields.get("reason") or "Unknown"),
        str(fields.get("message") or "no message"),
        retry_after,
    )
