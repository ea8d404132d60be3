"""What the hub refuses to start with, TLS, and log-in sessions."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import urllib3
from starlette.requests import Request
from starlette.responses import Response

from keelwatch.console.auth import COOKIE, ApiError, Auth, Limiter
from keelwatch.hub.main import load_tokens
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.ingest.auth import Tokens, new_token
from tests.hub_support import HubProcess


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8470", ":8470", "192.0.2.1:8470", "[::]:8470", "hub.example:8470"]
)
def test_no_plain_text_off_loopback(listen: str) -> None:
    with pytest.raises(SettingsError, match="--tls-cert"):
        HubSettings(listen=listen).check()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:8470", "[::1]:8470", "127.9.9.9:1"])
def test_loopback_needs_no_tls(listen: str) -> None:
    HubSettings(listen=listen).check()


@pytest.mark.parametrize("listen", ["8470", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000"])
def test_an_address_that_is_none(listen: str) -> None:
    with pytest.raises(SettingsError, match="HOST:PORT"):
        HubSettings(listen=listen).check()


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="belong together"):
        HubSettings(tls_cert=tmp_path / "cert.pem").check()
    with pytest.raises(SettingsError, match="not a file"):
        HubSettings(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem").check()


def test_an_admin_token_is_announced_once(tmp_path: Path) -> None:
    said: list[str] = []
    settings = HubSettings(data=tmp_path)
    tokens = load_tokens(settings, said.append)
    load_tokens(settings, said.append)
    (token,) = said
    assert tokens.verify(token) is not None
    assert (tmp_path / "agent.token").stat().st_mode & 0o777 == 0o600


def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    hub = HubProcess(tmp_path / "hub", tls=(cert, key))
    hub.start()
    try:
        assert hub.url.startswith("https://")
        assert hub.json("/api/v1/status")["store"]["rows"] is not None
        plain = hub.url.replace("https", "http")
        with pytest.raises(urllib3.exceptions.HTTPError):
            urllib3.PoolManager(retries=False).request("GET", f"{plain}/healthz")
        strangers = urllib3.PoolManager(retries=False, ssl_context=ssl.create_default_context())
        with pytest.raises(urllib3.exceptions.SSLError):
            strangers.request("GET", f"{hub.url}/healthz")
    finally:
        hub.stop()


@pytest.fixture
def auth(tmp_path: Path) -> Auth:
    return Auth(Tokens(tmp_path / "tokens.json"), tmp_path / "session.key", secure=True)


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": method, "headers": raw, "client": ("192.0.2.7", 1), "path": "/"}
    )


def cookie(auth: Auth, token: str) -> str:
    response = Response()
    auth.set_cookie(response, auth.log_in(token, "192.0.2.7"))
    header = response.headers["set-cookie"]
    assert "HttpOnly" in header
    assert "SameSite=strict" in header
    assert "Secure" in header
    return header.split(";")[0]


def test_a_session_is_signed_and_a_post_needs_its_csrf_token(auth: Auth) -> None:
    token = new_token()
    auth.tokens.add("admin", "admin", token)
    good = cookie(auth, token)
    session = auth.require(request(cookie=good))
    assert (session.name, session.role) == ("admin", "admin")
    with pytest.raises(ApiError) as caught:
        auth.require(request("POST", cookie=good))
    assert caught.value.status == 403
    auth.require(request("POST", cookie=good, x_csrf_token=session.csrf))
    for bad in (good[:-1], good.replace(".", "x."), f"{COOKIE}=", f"{COOKIE}=e30=.00"):
        with pytest.raises(ApiError) as caught:
            auth.require(request(cookie=bad))
        assert caught.value.status == 401


def test_a_wrong_token_is_not_saved_by_a_cookie(auth: Auth) -> None:
    token = new_token()
    auth.tokens.add("admin", "admin", token)
    with pytest.raises(ApiError):
        auth.require(request(cookie=cookie(auth, token), authorization="Bearer wrong-wrong-wrong"))


def test_an_agent_cannot_log_in(auth: Auth) -> None:
    token = new_token()
    auth.tokens.add("agent", "agent", token)
    with pytest.raises(ApiError) as caught:
        auth.log_in(token, "192.0.2.7")
    assert caught.value.status == 401


def test_many_failures_are_slowed_down_for_a_while(auth: Auth) -> None:
    for _ in range(Limiter.LIMIT):
        with pytest.raises(ApiError) as caught:
            auth.log_in("guess-guess-guess", "192.0.2.8")
        assert caught.value.status == 401
    with pytest.raises(ApiError) as caught:
        auth.log_in("guess-guess-guess", "192.0.2.8")
    assert caught.value.status == 429
    assert auth.limiter.allows("192.0.2.9")


def test_the_limit_forgets() -> None:
    now = [0.0]
    limiter = Limiter(lambda: now[0])
    for _ in range(Limiter.LIMIT):
        limiter.failed("a")
    assert not limiter.allows("a")
    now[0] = Limiter.WINDOW + 1
    assert limiter.allows("a")


def test_wrong_tokens_are_slowed_down_wherever_they_are_tried(auth: Auth) -> None:
    token = new_token()
    auth.tokens.add("admin", "admin", token)
    logged_in = cookie(auth, token)
    for _ in range(Limiter.LIMIT):
        assert auth.session(request(authorization="Bearer guess-guess-guess")) is None  # as the pages ask
    with pytest.raises(ApiError) as caught:
        auth.session(request(authorization="Bearer guess-guess-guess"))
    assert caught.value.status == 429
    assert auth.require(request(cookie=logged_in)).name == "admin"  # who is in stays in


def test_a_session_ends_with_its_token(auth: Auth) -> None:
    old, new = new_token(), new_token()
    auth.tokens.add("viewer", "viewer", old)
    before = cookie(auth, old)
    assert auth.session(request(cookie=before)) is not None
    auth.tokens.add("viewer", "viewer", new)
    assert auth.session(request(cookie=before)) is None
    assert auth.session(request(cookie=cookie(auth, new))) is not None


def test_large_headers_are_refused(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub").start()
    try:
        headers = {"X-Long": "x" * (1 << 20)}
        try:
            status = hub.pool.request("GET", f"{hub.url}/login", headers=headers, retries=False).status
        except urllib3.exceptions.ProtocolError:
            status = 400  # it did not even wait for the end
        assert status in (400, 431)
        assert hub.ready()
    finally:
        hub.stop()
