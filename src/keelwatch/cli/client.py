"""The hub's HTTP API as the commands use it: one JSON answer, or a stream of records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3

from keelwatch import __version__
from keelwatch.cli.config import Connection
from keelwatch.cli.errors import NOT_AUTHORISED, NOT_FOUND, UNREACHABLE, USAGE, CliError

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
_HOW_TO_LOG_IN = (
    "`keelwatch up` printed the right one, and keeps it in login.token in its data folder; "
    "--token-file, KEELWATCH_TOKEN_FILE or the config file names it."
)
_MAX_ERROR = 64 * 1024
_CODES = {400: USAGE, 401: NOT_AUTHORISED, 403: NOT_AUTHORISED, 404: NOT_FOUND, 422: USAGE}


class HubClient:
    """A connection to one hub. Every failure becomes a CliError with its exit code."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        headers = {"User-Agent": f"keelwatch/{__version__}", "Accept": "application/json"}
        if connection.token:
            headers["Authorization"] = f"Bearer {connection.token}"
        self._pool = urllib3.PoolManager(
            headers=headers, retries=False, ca_certs=connection.ca_file or None, cert_reqs="CERT_REQUIRED"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Return the JSON answer of `GET path`."""
        response = self._request(path, parameters or {}, READ_SECONDS)
        try:
            return orjson.loads(response.read())
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError) as error:
            raise self._broken(error) from error

    def ready(self) -> bool:
        """Whether the hub is up and its store answers."""
        try:
            self._request("/readyz", {}, READ_SECONDS).drain_conn()
        except CliError:
            return False
        return True

    def records(self, path: str, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the objects of an NDJSON stream as they arrive."""
        follows = parameters.get("follow") == "true"
        response = self._request(path, parameters, None if follows else READ_SECONDS)
        try:
            for line in response:
                if line.strip():
                    yield orjson.loads(line)
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError) as error:
            raise self._broken(error) from error
        finally:
            response.close()

    def _request(
        self, path: str, parameters: Mapping[str, str], read_seconds: float | None
    ) -> urllib3.BaseHTTPResponse:
        url = self.connection.hub + path
        try:
            response = self._pool.request(
                "GET",
                url,
                fields=dict(parameters),
                preload_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        if response.status != 200:
            raise self._refused(response)
        return response

    def _unreachable(self, error: Exception) -> CliError:
        hint = "Is it running? `keelwatch doctor` looks closer; --hub or KEELWATCH_HUB names another."
        return CliError(f"cannot reach the hub at {self.connection.hub}: {_reason(error)}", UNREACHABLE, hint)

    def _broken(self, error: Exception) -> CliError:
        return CliError(f"the hub's answer broke off: {_reason(error)}", UNREACHABLE)

    def _refused(self, response: urllib3.BaseHTTPResponse) -> CliError:
        message, hint = _error_of(response.read(_MAX_ERROR))
        code = _CODES.get(response.status, UNREACHABLE)
        if response.status == 401 and self.connection.token:
            message, hint = "the hub does not know this token", _HOW_TO_LOG_IN
        if code == NOT_AUTHORISED and not self.connection.token:
            hint = "Give a token with --token-file, KEELWATCH_TOKEN or the config file."
        return CliError(f"{message or 'the hub refused'} (HTTP {response.status})", code, hint)


def _error_of(body: bytes) -> tuple[str, str]:
    """Return (message, hint) of the hub's error answer `{"error": {...}}`."""
    try:
        error = orjson.loads(body)["error"]
        return str(error.get("message", "")), str(error.get("hint") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "", ""


def _reason(error: BaseException) -> str:
    """The innermost cause, without urllib3's wrapping."""
    while (inner := error.__cause__ or getattr(error, "reason", None)) and isinstance(inner, BaseException):
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).rpartition(">: ")[2] or str(error)
    return text.removeprefix("Failed to establish a new connection: ")
