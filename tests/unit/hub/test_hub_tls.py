"""The hub's own CA: made once, kept, and what is signed with it is trusted by real TLS."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from keelwatch.hub import tls
from keelwatch.hub.certificate_reload import Reload
from keelwatch.hub.settings import HubSettings, SettingsError
from keelwatch.hub.tls import AutoTls


def handshake(server: ssl.SSLContext, ca: Path, name: str) -> dict:
    """What a client that trusts `ca` sees of a server that is called `name`."""
    ours, theirs = socket.socketpair()
    client = ssl.create_default_context(cafile=str(ca))
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            return connection.getpeercert()
    finally:
        ours.close()
        thread.join()


def context(auto: AutoTls) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(auto.cert, auto.key)
    return made


def test_every_name_is_trusted_by_who_has_the_ca_and_no_other(tmp_path: Path) -> None:
    auto = AutoTls(tmp_path / "tls", ["hub.example", "192.0.2.7"])
    for name in ("hub.example", "192.0.2.7", "localhost", "127.0.0.1", "::1"):
        assert handshake(context(auto), tmp_path / "tls/ca.crt", name)["subjectAltName"]
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        handshake(context(auto), tmp_path / "tls/ca.crt", "other.example")
    stranger = AutoTls(tmp_path / "stranger", ["hub.example"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context(auto), stranger.folder / "ca.crt", "hub.example")


def test_only_the_owner_reads_what_is_kept(tmp_path: Path) -> None:
    auto = AutoTls(tmp_path / "tls", [])
    assert {path.stat().st_mode & 0o777 for path in auto.folder.iterdir()} == {0o600}
    assert not (tmp_path / "tls.new").exists()


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    AutoTls(tmp_path / "tls", ["a.example", "bücher.example", "::0"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    AutoTls(tmp_path / "tls", ["bücher.example", "0::0", "a.example"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before


def test_other_names_need_another_certificate_from_the_same_ca(tmp_path: Path) -> None:
    first = AutoTls(tmp_path / "tls", ["a.example"])
    ca, server = first.authority.pem, first.cert.read_bytes()
    second = AutoTls(tmp_path / "tls", ["b.example"])
    assert second.authority.pem == ca
    assert second.cert.read_bytes() != server
    handshake(context(second), tmp_path / "tls/ca.crt", "b.example")


def test_a_certificate_near_its_end_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auto = AutoTls(tmp_path / "tls", [])
    assert not auto.renew()
    monkeypatch.setattr(tls, "RENEW_BEFORE", tls.SERVER_LIFE)
    assert auto.renew()


@pytest.mark.parametrize("broken", ["server.crt", "server.key"])
def test_a_broken_server_certificate_is_made_again(tmp_path: Path, broken: str) -> None:
    auto = AutoTls(tmp_path / "tls", [])
    (auto.folder / broken).write_text("nonsense")
    handshake(context(AutoTls(tmp_path / "tls", [])), tmp_path / "tls/ca.crt", "localhost")


@pytest.mark.parametrize("broken", ["ca.crt", "ca.key"])
@pytest.mark.parametrize("how", ["gone", "empty", "strange"])
def test_a_broken_ca_is_never_replaced(tmp_path: Path, broken: str, how: str) -> None:
    path = AutoTls(tmp_path / "tls", []).folder / broken
    other = AutoTls(tmp_path / "other", []).folder / broken
    path.unlink()
    if how != "gone":
        path.write_bytes(other.read_bytes() if how == "strange" else b"")
    left = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    with pytest.raises(SettingsError, match="backup"):
        AutoTls(tmp_path / "tls", [])
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == left


def test_the_ca_lives_ten_years_and_signs_no_other_ca(tmp_path: Path) -> None:
    found = AutoTls(tmp_path / "tls", []).authority.certificate
    assert found.not_valid_after_utc - found.not_valid_before_utc > datetime.timedelta(days=3650)
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--tls-name"):
        AutoTls(tmp_path / "tls", ["a..b"])


def test_a_replaced_certificate_is_taken_up_and_half_a_change_is_not(tmp_path: Path) -> None:
    auto = AutoTls(tmp_path / "tls", ["a.example"])
    serving, reload = context(auto), Reload(auto.cert, auto.key)
    ca = tmp_path / "tls/ca.crt"
    first = handshake(serving, ca, "localhost")["serialNumber"]
    reload.look(serving)
    assert handshake(serving, ca, "localhost")["serialNumber"] == first
    old_key = auto.key.read_bytes()
    AutoTls(tmp_path / "tls", ["b.example"])
    new_key = auto.key.read_bytes()
    auto.key.write_bytes(old_key)
    reload.look(serving)
    assert handshake(serving, ca, "localhost")["serialNumber"] == first
    auto.key.write_bytes(new_key)
    reload.look(serving)
    assert handshake(serving, ca, "b.example")["serialNumber"] != first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tls_auto": True, "tls_cert": Path("/x"), "tls_key": Path("/y")}, "--tls-auto"),
        ({"tls_names": ("a",)}, "--tls-name"),
        ({"in_cluster": True, "kubeconfig": Path("/dev/null")}, "two API servers"),
        ({"kubeconfig": Path("/nowhere")}, "not a file"),
        ({"agent_service_account": "a/b"}, "needs an API server"),
        ({"agent_service_account": "a", "in_cluster": True}, "NAMESPACE/NAME"),
        ({"agent_service_account": "../b/c", "in_cluster": True}, "NAMESPACE/NAME"),
        ({"publish_ca_configmap": "a/b", "in_cluster": True}, "--tls-auto makes"),
    ],
)
def test_settings_that_do_not_go_together(given: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        HubSettings(**given).check()


def test_tls_of_our_own_allows_any_address() -> None:
    HubSettings(listen="0.0.0.0:8470", tls_auto=True).check()
